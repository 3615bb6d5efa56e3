// defines: Source, an image of bytes seen through a transform; clipped(): what every step of an augmentation is made of
#pragma once

#include "kernels/augment.hpp"
#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/launch.cuh"

namespace ptrain::cuda {

// Where a coordinate outside [0, length − 1] is read instead, in Keras' order of operations. `constant` leaves it outside.
__device__ inline float inside(FillMode fill, Rounded at, int64_t size) {
  const Rounded length = float(size), last = float(size - 1), period = Rounded(2.f) * length;
  if (fill == FillMode::constant) return at.v;
  if (size > 1 && fill == FillMode::reflect) {  // d c b a | a b c d | d c b a
    if (at.v < 0.f) {
      if (at.v < period.v) at = at + period * truncf((Rounded(-at.v) / period).v);
      at = at.v < -length.v ? at + period : Rounded(-at.v) - 1.f;
    } else if (at.v > last.v) {
      at = at - period * truncf((at / period).v);
      if (at.v >= length.v) at = period - at - 1.f;
    }
  }
  if (size > 1 && fill == FillMode::wrap) {  // a b c d | a b c d | a b c d
    if (at.v < 0.f) at = at + length * (Rounded(truncf((Rounded(-at.v) / last).v)) + 1.f);
    else if (at.v > last.v) at = at - length * truncf((at / last).v);
  }
  return at.v < 0.f ? 0.f : at.v > last.v ? last.v : at.v;
}

// Three values of a pixel, or one three times.
struct Color {
  float v[3];
};

// One image h × w × c.
struct Source {
  const AugmentShape& s;
  const uint8_t* image;

  // Whole-numbered y and x; outside the image the fill value.
  __device__ Rounded pixel(float y, float x, int c) const {
    if (!(y >= 0.f && y < float(s.h) && x >= 0.f && x < float(s.w))) return s.fill_value;
    return float(image[(int64_t(y) * s.w + int64_t(x)) * s.c + c]);
  }
  __device__ float at(float y, float x, int c) const {
    if (s.interpolation == Interpolation::nearest) return pixel(roundf(y), roundf(x), c).v;
    const float top = floorf(y), left = floorf(x);
    const Rounded down = Rounded(y) - top, right = Rounded(x) - left;
    const Rounded p0 = pixel(top, left, c), p1 = pixel(top, left + 1.f, c), p2 = pixel(top + 1.f, left, c),
                  p3 = pixel(top + 1.f, left + 1.f, c);
    const Rounded upper = p0 + (p1 - p0) * right, lower = p2 + (p3 - p2) * right;
    return (upper + (lower - upper) * down).v;
  }
  // Output pixel (column, row) shows the image at ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k), k = c0·x + c1·y + 1.
  __device__ Color warped(const Transform& t, int64_t row, int64_t column) const {
    Color color;
    const auto channels = int(s.c);
    if (t.a0 == 1.f && t.a1 == 0.f && t.a2 == 0.f && t.b0 == 0.f && t.b1 == 1.f && t.b2 == 0.f && t.c0 == 0.f && t.c1 == 0.f) {
      for (int c = 0; c < 3; ++c) color.v[c] = float(image[(row * s.w + column) * s.c + (c < channels ? c : 0)]);
      return color;
    }
    const Rounded x = float(column), y = float(row), k = Rounded(t.c0) * x + Rounded(t.c1) * y + 1.f;
    const Rounded u = Rounded(t.a0) * x + Rounded(t.a1) * y + t.a2, v = Rounded(t.b0) * x + Rounded(t.b1) * y + t.b2;
    const float from_x = inside(s.fill, u / k, s.w), from_y = inside(s.fill, v / k, s.h);
    for (int c = 0; c < 3; ++c) color.v[c] = k.v == 0.f ? s.fill_value : c < channels ? at(from_y, from_x, c) : color.v[0];
    return color;
  }
};

__device__ inline Rounded clipped(Rounded v) { return v.v < 0.f ? 0.f : v.v > 255.f ? 255.f : v.v; }

}  // namespace ptrain::cuda
