// defines: pointwise(), the 1×1 convolution with stride 1: a product of matrices; its weights, packed to stay or for one call
#pragma once

#include "kernels/backend.hpp"
#include "kernels/cpu/memory.hpp"

namespace ptrain::cpu {

inline bool is_pixelwise(const ConvShape& s) {
  return s.r == 1 && s.s == 1 && s.stride == 1 && s.pad_h == 0 && s.pad_w == 0 && s.more_h == 0 && s.more_w == 0;
}

// Such a window, float32, and outputs in multiples of 8; on processors with AVX-512.
bool pointwise_fits(const ConvShape&, DType);

struct PointwiseWeights {
  int64_t c, k;
  Act act;
  const float* panels;  // scale · w in panels of outputs, each [c, width]
  const float* shift;   // [k]
  bool are_of(const Fused<ConvShape>& f) const { return c == f.conv.c && k == f.conv.k && act == f.act; }
};
// Lays them out in `room`, of so many floats. w [c, k]; scale and shift [k].
constexpr int64_t pointwise_weights_size(const ConvShape& s) { return (s.c + 1) * s.k; }
PointwiseWeights pack_pointwise(const ConvShape&, Act, const float* w, const float* scale, const float* shift, float* room);

// Those of a frozen convolution.
struct PackedPointwise final : PackedWeights {
  PackedPointwise(const Fused<ConvShape>& f, const float* w, const float* scale, const float* shift)
      : data(int64_t(sizeof(float)) * pointwise_weights_size(f.conv)),
        weights(pack_pointwise(f.conv, f.act, w, scale, shift, static_cast<float*>(data.data()))) {}
  Block data;
  PointwiseWeights weights;
};

// y[i] = act(x[i]·w + shift [+ residual[i]]) for `pixels` rows of x [·, c]; residual may be null, or y. A pixel's result depends on that
// pixel alone, so whoever calls may split them as he likes.
void pointwise(const PointwiseWeights&, int64_t pixels, const float* x, const float* residual, float* y);
// The same for all pixels of a batch, on the threads of the Exec.
void pointwise(Exec&, const ConvShape&, const PointwiseWeights&, const float* x, const float* residual, float* y);

}  // namespace ptrain::cpu
