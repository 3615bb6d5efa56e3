// defines: LayerSpec, one layer as Keras counts and configures them, and LayerObserver, who is told of each
#pragma once

#include <string>
#include <vector>

#include "tensor/ops.hpp"

namespace ptrain {

enum class Pad : uint8_t { valid, same };

// Each kind of layer uses the fields that its Keras class has.
struct LayerSpec {
  std::string type;  // Keras class: InputLayer Conv2D DepthwiseConv2D BatchNormalization ReLU Activation ZeroPadding2D MaxPooling2D …
  std::string name;
  int64_t filters = 0, kernel_h = 0, kernel_w = 0, stride = 1;  // convolutions; window of a pool in kernel_h
  Pad pad = Pad::valid;
  bool bias = false;
  Act act = Act::none;           // Conv2D and Dense with an activation of their own; ReLU, Activation
  bool softmax = false;          // Dense
  double eps = 0, momentum = 0;  // BatchNormalization
  bool gamma = true;
  Padding padding;    // ZeroPadding2D
  int64_t units = 0;  // Dense
  float rate = 0;     // Dropout
};

// Sees every layer of a pass, in the order in which the net applies them. While somebody watches nothing is fused.
class LayerObserver {
 public:
  virtual ~LayerObserver() = default;
  virtual void layer(const LayerSpec& spec, const std::vector<Tensor>& inputs, const Tensor& output) = 0;
};

}  // namespace ptrain
