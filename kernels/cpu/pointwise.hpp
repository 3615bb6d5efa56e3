// defines: PackedPointwise and pointwise(), the frozen 1×1 convolution with stride 1: a product of matrices
#pragma once

#include "kernels/backend.hpp"
#include "kernels/cpu/memory.hpp"

namespace ptrain::cpu {

// A window of 1×1, float32, and outputs in multiples of 8; on processors with AVX-512.
bool pointwise_fits(const ConvShape&, DType);

// scale · w in panels of outputs, each [c, width]; then shift. Serves any number of pixels.
struct PackedPointwise final : PackedWeights {
  PackedPointwise(int64_t inputs, int64_t outputs, Act activation)
      : c(inputs), k(outputs), act(activation), data(int64_t(sizeof(float)) * (inputs + 1) * outputs) {}
  float* weights() const { return static_cast<float*>(data.data()); }
  float* bias() const { return weights() + c * k; }
  int64_t c, k;
  Act act;
  Block data;
};
std::shared_ptr<const PackedPointwise> pack_pointwise(const Fused<ConvShape>&, const float* w, const float* scale, const float* shift);

// y[i] = act(x[i]·w + bias [+ residual[i]]) for `pixels` rows of x [·, c]; residual may be null, or y. A pixel's result depends on that pixel
// alone, so whoever calls may split them as he likes.
void pointwise(const PackedPointwise&, int64_t pixels, const float* x, const float* residual, float* y);

}  // namespace ptrain::cpu
