// defines: depthwise_rows(), the loop of all depthwise convolutions, frozen or in training; PackedDepthwise, the weights of a frozen one
#pragma once

#include "kernels/cpu/loops.hpp"
#include "kernels/cpu/memory.hpp"

namespace ptrain::cpu {

struct DepthwiseCall {
  Buffer x;
  const float* w;     // [r, s, c]
  const float* bias;  // [c]
  Act act = Act::none;
  Buffer residual = {};  // like y, may be y; none unless given
  Buffer y;
  float* sums;               // working memory: c floats for each thread of the Exec
  bool from_memory = false;  // x comes from far away: its next rows are asked for in time
};

// y = act(depthwise(x, w) + bias + residual).
void depthwise_rows(Exec&, const DepthwiseShape&, const DepthwiseCall&);

// float32 in any case: scale · w, rounded to the type of the activations, as r·s rows of c; then shift, a row of c.
struct PackedDepthwise final : PackedWeights {
  PackedDepthwise(const DepthwiseShape& s, DType t) : shape(s), type(t), data(int64_t(sizeof(float)) * (s.r * s.s + 1) * s.c) {}
  float* weights() const { return static_cast<float*>(data.data()); }
  float* bias() const { return weights() + shape.r * shape.s * shape.c; }
  DepthwiseShape shape;
  DType type;
  Block data;
};

// Whether this is a window of 3×3 over whole vectors of channels, for which there is a faster loop, and a part of an image can be had.
bool depthwise_is_fast(const DepthwiseShape&);
// Rows [first, last) of the result for one image of which the rows from `x_first` on lie at x: those that the windows see must be there.
void depthwise_strip(const PackedDepthwise&, Act, int64_t first, int64_t last, const float* x, int64_t x_first, float* y);

}  // namespace ptrain::cpu
