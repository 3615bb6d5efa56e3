// defines: ConvKey, ConvPlan, find_plan(): a convolution as a cuDNN graph, and the plan that executes it. Needs cuDNN but no GPU: a card
// can also be described by a file of its properties (device_from_json).
#pragma once

#include <compare>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernels/cuda/descriptor.hpp"
#include "kernels/dtype.hpp"
#include "kernels/shapes.hpp"

namespace ptrain::cuda {

enum class ConvKind : uint8_t { forward, backward_data, backward_filter, fused };

// One convolution, and all that its plan depends on. x, y and their gradients are NHWC; kernels are [k, r, s, c], as cuDNN's fast engines
// want them.
struct ConvKey {
  ConvKind kind = ConvKind::forward;
  ConvShape shape;
  DType type = DType::float32;    // of x, w, y
  DType filter = DType::float32;  // of dw
  Act act = Act::none;            // fused: act(conv + bias [+ residual])
  bool residual = false;
  bool tf32 = false;   // float32 products may be rounded to TF32
  int alignment = 16;  // bytes, of the pointers
  auto operator<=>(const ConvKey&) const = default;
};
std::string str(const ConvKey&);

Descriptor device_from_id(int device);
Descriptor device_from_json(const std::string& properties);

// Executes on a stream; can be used again and again, by one thread at a time.
class ConvPlan {
 public:
  ConvPlan(Descriptor plan, int64_t engine)
      : plan_(std::move(plan)),
        engine_(engine),
        workspace_(plan_.number(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE)) {}
  int64_t workspace() const { return workspace_; }  // bytes
  int64_t engine() const { return engine_; }        // cuDNN's number of the engine
  // Forward: x, w, y. Backward-data: dx as x, w, dy as y. Backward-filter: x, dw as w, dy as y. Fused also bias (float32[k]) and residual.
  struct Pointers {
    void *x = nullptr, *w = nullptr, *y = nullptr, *bias = nullptr, *residual = nullptr, *workspace = nullptr;
  };
  void execute(cudnnHandle_t handle, const Pointers& p) const;

 private:
  Descriptor plan_;
  int64_t engine_, workspace_;
};

struct PlanLimits {
  int64_t workspace = int64_t(1) << 30;  // bytes at most
};

// What was found for a key, and what it took.
struct PlanSearch {
  std::unique_ptr<ConvPlan> plan;    // none: cuDNN has none that fits
  int64_t offered = 0, refused = 0;  // engine configurations that the heuristics offered, and those passed over before the plan
  bool fallback = false;             // from the heuristics' fallback list
  std::string why;                   // the last refusal
};

// The first plan of cuDNN's heuristics for this card that builds, fits the workspace and rounds as `key` allows: no engine that takes
// narrower inputs or sums than the types say, none in TF32 unless asked for; engines whose sums depend on chance only if there is no other.
PlanSearch find_plan(const ConvKey& key, const Descriptor& device, const PlanLimits& limits = {});
// All of them, for a measurement (autotune).
std::vector<std::unique_ptr<ConvPlan>> all_plans(const ConvKey& key, const Descriptor& device, const PlanLimits& limits = {});

}  // namespace ptrain::cuda
