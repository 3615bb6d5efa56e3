// defines: the operations on tensors. Each checks its shapes, calls the backend, and records its backward when an input wants one.
#pragma once

#include "tensor/tape.hpp"

namespace ptrain {

// Stride and zero padding of a convolution, as in ConvShape.
struct ConvWindow {
  int64_t stride = 1, pad_h = 0, pad_w = 0, more_h = 0, more_w = 0;
};
struct PoolWindow {
  int64_t window = 2, stride = 2, pad = 0;
};
struct Padding {
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  bool operator==(const Padding&) const = default;
};

// Shapes of the backend structs, from tensors; they throw when these do not fit together.
ConvShape conv_shape(const Tensor& x, const Shape& w, ConvWindow window);            // w: [r, s, c, k]
DepthwiseShape depthwise_shape(const Tensor& x, const Shape& w, ConvWindow window);  // w: [r, s, c, 1]
RowShape row_shape(const Tensor& x);                                                 // all dimensions but the last are rows

// conv.cpp: x [n,h,w,c]
Tensor conv(Context&, const Tensor& x, const Tensor& w, ConvWindow);            // w [r,s,c,k] → [n,p,q,k]
Tensor depthwise_conv(Context&, const Tensor& x, const Tensor& w, ConvWindow);  // w [r,s,c,1] → [n,p,q,c]

// dense.cpp
Tensor dense(Context&, const Tensor& x, const Tensor& w);          // x [m,c], w [c,k] → [m,k]
Tensor bias_act(Context&, const Tensor& x, const Tensor& b, Act);  // act(x + b), b [c]

// norm.cpp: x [..., c]; gamma may be undefined (1)
struct BatchNorm {
  Tensor gamma, beta, moving_mean, moving_variance;  // [c]
  double eps = 1e-3, momentum = 0.99;
  Act act = Act::none;
};
Tensor norm_train(Context&, const Tensor& x, const BatchNorm&);  // batch statistics; moves the moving ones
Tensor norm_infer(Context&, const Tensor& x, const BatchNorm&);  // moving statistics
// The same of conv(x, w) or depthwise_conv(x, w), plus bias [c] where that is defined. Their result is never there: where gamma wants a
// gradient it is folded into w, and dw tells it: in float32 and float64 only, since in 16 bits that dw would be rounded.
Tensor conv_norm_infer(Context&, const Tensor& x, const Tensor& w, ConvWindow, const Tensor& bias, const BatchNorm&);
Tensor depthwise_norm_infer(Context&, const Tensor& x, const Tensor& w, ConvWindow, const Tensor& bias, const BatchNorm&);

// elementwise.cpp
Tensor activation(Context&, const Tensor& x, Act);
Tensor add(Context&, const Tensor& a, const Tensor& b, Act = Act::none);  // act(a + b)
Tensor before_act(
    Context&, Act, const Tensor& y,
    const Tensor& dy);  // for backward: the gradient before the activation, over dy if that is free; without y another op has stopped it
struct DropoutKey {
  uint64_t seed = 0;
  uint32_t layer = 0;
};
// x [rows, c], samples int32 [rows], epoch int32 [1]
Tensor dropout(Context&, const Tensor& x, float rate, DropoutKey, const Tensor& samples, const Tensor& epoch);

// shape_ops.cpp
Tensor zero_pad(Context&, const Tensor& x, Padding);
Tensor concat_channels(Context&, const std::vector<Tensor>& xs);  // equal in all dimensions but the last

// pool.cpp
Tensor max_pool(Context&, const Tensor& x, PoolWindow);
Tensor avg_pool(Context&, const Tensor& x, PoolWindow);  // padding is left out of the mean
Tensor global_avg_pool(Context&, const Tensor& x);       // [n,h,w,c] → [n,c]

// loss.cpp
struct CrossEntropy {
  Tensor loss;           // [1]: Σ class_weight[label] · −log p[label] / rows
  Tensor probabilities;  // [rows, classes]
  Tensor losses;         // [rows]: each row's weighted term
};
CrossEntropy softmax_cross_entropy(Context&, const Tensor& logits, const Tensor& labels, const Tensor& class_weights);
Tensor softmax(Context&, const Tensor& logits);  // for inference; not recorded

}  // namespace ptrain
