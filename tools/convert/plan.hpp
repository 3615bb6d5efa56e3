// defines: Plan, what a conversion will write; made by the child that reads the file, checked and carried out by the parent
#pragma once

#include <optional>

#include "tools/convert/head.hpp"

namespace ptrain::convert {

struct PlanTensor {
  std::string layer, weight;  // in the model file
  Shape shape;
};

struct Plan {
  std::string dialect, keras_version, backend;
  std::string net;  // ptrain's name
  bool top = false;
  int64_t height = 0, width = 0;  // from the configuration; 0: native
  std::string preprocessing;      // of a classifier whose own layers prepare images in another way; "": as the net
  bool old_names = false;         // a legacy weight file with names of Keras 1 or 2, as the official ones are
  struct HeadPlan {
    std::vector<int64_t> units;  // of the dense layers but the last
    std::vector<double> dropout;
    double l2 = 0;
    int64_t classes = 0;
  };
  std::optional<HeadPlan> head;
  std::vector<std::string> unused;  // tensors that are left out
  std::vector<std::string> notes;
};

// The tensors of the model file in the order in which they are sent. Throws Error{weights} when the plan does not make sense.
std::vector<PlanTensor> tensors_of(const Plan&, const std::vector<NetLayout>& layouts);
const NetLayout& layout_of(const Plan&, const std::vector<NetLayout>& layouts);

std::string to_text(const Plan&);         // JSON
Plan plan_from_text(const std::string&);  // Error{weights} when it is no plan

// The child's side: the plan, and where in the file each of its tensors lies.
struct Route {
  PlanTensor to;
  const SourceTensor* from = nullptr;
  bool add_zeros = false;  // a sigmoid's output: a column of zeros comes before it
};
struct Routes {
  Plan plan;
  std::vector<Route> routes;
};
struct PlanOptions {
  std::string asked_net;  // Keras' name, or "" for any
  bool allow_unused = false;
};
Routes make_plan(const std::vector<NetLayout>& layouts, const Source& source, const PlanOptions& options);

}  // namespace ptrain::convert
