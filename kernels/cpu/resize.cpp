// Bilinear resizing as tf.image.resize does it: half-pixel centres, no antialiasing, no rounding of the result. Positions are float32
// in its order of operations: this file is compiled without fused multiply-add.
#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {
namespace {

// Output i lies at (i + ½) · in/out − ½ of the input: between two neighbours, or at the border.
struct Sample {
  int64_t below, above;
  float share;  // of `above`
};

Sample sample(int64_t i, int64_t in, int64_t out) {
  const float position = (float(i) + 0.5f) * (float(in) / float(out)) - 0.5f, below = std::floor(position);
  return {std::max<int64_t>(int64_t(below), 0), std::min(int64_t(std::ceil(position)), in - 1), position - below};
}

}  // namespace

// y = top + (bottom − top)·b, top = x₀₀ + (x₀₁ − x₀₀)·a and bottom alike; a and b the shares of the right and of the lower neighbours.
// Layout : x uint8 HWC, y float32 HWC.
// Thread : rows of y; where each value of a row comes from is worked out once for all rows.
// Memory : reads four bytes an output, from two rows that stay in the cache, writes four.
// Exact  : float32, one rounding an operation, as in TensorFlow.
void CpuBackend::do_resize_bilinear(Exec& e, const ResizeShape& s, Buffer x, Buffer y) {
  const int64_t width = s.out_w * s.c;
  int32_t* left = static_cast<int32_t*>(e.scratch(3 * width * int64_t(sizeof(int32_t))));
  int32_t* right = left + width;
  float* share = reinterpret_cast<float*>(right + width);
  for (int64_t i = 0; i < width; ++i) {
    const Sample h = sample(i / s.c, s.w, s.out_w);
    left[i] = int32_t(h.below * s.c + i % s.c);
    right[i] = int32_t(h.above * s.c + i % s.c);
    share[i] = h.share;
  }
  parallel(e, s.out_h, width, [&](Part part) {
    for (int64_t row = part.begin; row < part.end; ++row) {
      const Sample v = sample(row, s.h, s.out_h);
      const uint8_t *upper = x.as<const uint8_t>() + v.below * s.w * s.c, *lower = x.as<const uint8_t>() + v.above * s.w * s.c;
      float* to = y.as<float>() + row * width;
#pragma omp simd
      for (int64_t i = 0; i < width; ++i) {
        const float top = float(upper[left[i]]) + float(upper[right[i]] - upper[left[i]]) * share[i];
        const float bottom = float(lower[left[i]]) + float(lower[right[i]] - lower[left[i]]) * share[i];
        to[i] = top + (bottom - top) * v.share;
      }
    }
  });
}

}  // namespace ptrain::cpu
