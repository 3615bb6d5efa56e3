// defines: the classifier that is trained on top of a base
#pragma once

#include <vector>

#include "layers/scope.hpp"

namespace ptrain {

// Dense layers with relu, each followed by dropout, then the class scores. Layers are called head_1, dropout_1, …, head_out.
struct HeadOptions {
  std::vector<int64_t> dense = {256, 128};
  std::vector<float> dropout = {0.5f, 0.3f};  // as many as `dense`
  double l2 = 1e-4;                           // Σ l2 · kernel² over the dense layers with relu is added to the loss
  int64_t classes = 2;
};

// x: pooled features [n, c]; gives logits [n, classes].
Tensor head(Scope&, Tensor x, const HeadOptions&);

bool is_head_layer(const std::string& layer);             // by its name
std::vector<std::string> l2_kernels(const HeadOptions&);  // "head_1/kernel", …

}  // namespace ptrain
