// Bilinear resizing as tf.image.resize does it: half-pixel centres, no antialiasing, no rounding of the result. Positions are float32
// as there (this file is compiled without fused multiply-add): at 2,000 pixels their rounding moves a sample by 1e-4 pixels.
#include <cmath>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
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

// y = (1 − b)·((1 − a)·x₀₀ + a·x₀₁) + b·((1 − a)·x₁₀ + a·x₁₁), a and b the shares of the right and of the lower neighbours
void ReferenceBackend::do_resize_bilinear(Exec& e, const ResizeShape& s, Buffer x, Buffer y) {
  parallel_for(e, s.out_h, [&](int64_t row) {
    const Sample v = sample(row, s.h, s.out_h);
    const uint8_t *upper = x.as<const uint8_t>() + v.below * s.w * s.c, *lower = x.as<const uint8_t>() + v.above * s.w * s.c;
    for (int64_t column = 0; column < s.out_w; ++column) {
      const Sample h = sample(column, s.w, s.out_w);
      for (int64_t c = 0; c < s.c; ++c) {
        const int64_t left = h.below * s.c + c, right = h.above * s.c + c;
        const float top = float(upper[left]) + float(upper[right] - upper[left]) * h.share;
        const float bottom = float(lower[left]) + float(lower[right] - lower[left]) * h.share;
        y.as<float>()[(row * s.out_w + column) * s.c + c] = top + (bottom - top) * v.share;
      }
    }
  });
}

}  // namespace ptrain::reference
