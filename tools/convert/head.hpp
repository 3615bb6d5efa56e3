// defines: Head, a user's classifier on top of a base: global pooling, dense layers with dropout between them, softmax
#pragma once

#include "tools/convert/match.hpp"

namespace ptrain::convert {

struct Head {
  struct Dense {
    int layer = -1;            // index into the source
    int kernel = 0, bias = 1;  // which of its tensors
    int64_t inputs = 0, units = 0;
  };
  std::vector<Dense> dense;     // in order; the last one gives the classes
  std::vector<double> dropout;  // one rate for each dense layer but the last
  double l2 = 0;                // of the first dense kernel
  bool sigmoid = false;         // one output; it becomes two, 0 and z: softmax of these is the same
  bool from_config = false;     // activations are known, not assumed
  int64_t classes() const { return sigmoid ? 2 : dense.back().units; }
};

struct HeadSearch {
  std::optional<Head> head;
  std::string why_not;             // when dense layers are there that are no such head
  std::vector<std::string> notes;  // for the report
  std::string preprocessing;       // "rescale S O" when the model's own layers do that; "": as the net
  int64_t height = 0, width = 0;   // of the model's input, when its configuration says so
};

// Looks among the layers that the base did not use.
HeadSearch find_head(const Match& match, const Source& source);

}  // namespace ptrain::convert
