// defines: depthwise_rows(), the loop of all depthwise convolutions, frozen or in training
#pragma once

#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {

struct DepthwiseCall {
  Buffer x;
  const float* w;         // [r, s, c]
  const float* bias;      // [c]
  Act act = Act::none;
  Buffer residual = {};   // like y, may be y; none unless given
  Buffer y;
  float* sums;            // working memory: c floats for each thread of the Exec
  bool from_memory = false;  // x comes from far away: its next rows are asked for in time
};

// y = act(depthwise(x, w) + bias + residual).
void depthwise_rows(Exec&, const DepthwiseShape&, const DepthwiseCall&);

}  // namespace ptrain::cpu
