// Augmentation of a batch: warp → contrast → brightness → the net's preprocessing, in that order. The source position of a pixel is
// float32 in Keras' order of operations (this file is compiled without fused multiply-add), so that a position on the border of the
// image falls to the same side as there; values are double.
#include <cmath>
#include <vector>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

// Where a coordinate outside [0, length − 1] is read instead. `constant` leaves it outside.
float inside(FillMode fill, float at, int64_t size) {
  const auto length = float(size), last = length - 1;
  if (fill == FillMode::constant) return at;
  if (size > 1 && fill == FillMode::reflect) {  // d c b a | a b c d | d c b a, with period 2·length
    if (at < 0) {
      if (at < 2 * length) at += 2 * length * std::trunc(-at / (2 * length));
      at = at < -length ? at + 2 * length : -at - 1;
    } else if (at > last) {
      at -= 2 * length * std::trunc(at / (2 * length));
      if (at >= length) at = 2 * length - at - 1;
    }
  }
  if (size > 1 && fill == FillMode::wrap) {  // a b c d | a b c d | a b c d
    if (at < 0) at += length * (std::trunc(-at / last) + 1);
    else if (at > last) at -= length * std::trunc(at / last);
  }
  return std::clamp(at, 0.f, last);
}

// One image h×w×c, read at any position.
struct Image {
  const AugmentShape& s;
  const uint8_t* data;

  double pixel(float y, float x, int64_t c) const {  // whole-numbered y, x
    if (!(y >= 0 && y < float(s.h) && x >= 0 && x < float(s.w))) return double(s.fill_value);
    return data[(int64_t(y) * s.w + int64_t(x)) * s.c + c];
  }
  double at(float y, float x, int64_t c) const {
    if (s.interpolation == Interpolation::nearest) return pixel(std::round(y), std::round(x), c);
    const float top = std::floor(y), left = std::floor(x);
    const double down = double(y) - double(top), right = double(x) - double(left);
    const double upper = (1 - right) * pixel(top, left, c) + right * pixel(top, left + 1, c);
    const double lower = (1 - right) * pixel(top + 1, left, c) + right * pixel(top + 1, left + 1, c);
    return (1 - down) * upper + down * lower;
  }
};

// warped[y,x,c] = image at ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k), k = c0·x + c1·y + 1
void warp(const Image& image, const Transform& t, std::vector<double>& warped) {
  const AugmentShape& s = image.s;
  for (int64_t row = 0; row < s.h; ++row)
    for (int64_t column = 0; column < s.w; ++column) {
      const auto x = float(column), y = float(row);
      const float k = t.c0 * x + t.c1 * y + 1;
      const float from_x = inside(s.fill, (t.a0 * x + t.a1 * y + t.a2) / k, s.w),
                  from_y = inside(s.fill, (t.b0 * x + t.b1 * y + t.b2) / k, s.h);
      for (int64_t c = 0; c < s.c; ++c)
        warped[size_t((row * s.w + column) * s.c + c)] = k == 0 ? double(s.fill_value) : image.at(from_y, from_x, c);
    }
}

// v = clip((v − m) · contrast + m), m the mean of the channel; then v = clip(v + brightness)
void adjust(const AugmentShape& s, const AugmentImage& by, std::vector<double>& v) {
  const int64_t pixels = s.h * s.w;
  for (int64_t c = 0; c < s.c; ++c) {
    double sum = 0;
    for (int64_t i = 0; i < pixels; ++i) sum += v[size_t(i * s.c + c)];
    const double mean = sum / double(pixels);
    for (int64_t i = 0; i < pixels; ++i) {
      double& value = v[size_t(i * s.c + c)];
      if (by.contrast != 1) value = std::clamp((value - mean) * double(by.contrast) + mean, 0., 255.);
      if (by.brightness != 0) value = std::clamp(value + double(by.brightness), 0., 255.);
    }
  }
}

}  // namespace

void ReferenceBackend::do_augment(Exec& e, const AugmentShape& s, std::span<const AugmentImage> images, Buffer x, const Preprocess& pre,
                                  Buffer y) {
  const int64_t pixels = s.h * s.w;
  visit_floating(y.dtype, [&]<class T>(T) {
    parallel_for(e, s.n, [&](int64_t n) {
      std::vector<double> v(size_t(pixels * s.c));
      warp({s, x.as<const uint8_t>() + s.source(n, images[size_t(n)]) * pixels * s.c}, images[size_t(n)].transform, v);
      adjust(s, images[size_t(n)], v);
      for (int64_t i = 0; i < pixels; ++i)
        for (int64_t c = 0; c < 3; ++c) {
          const int64_t from = s.c == 1 ? 0 : pre.bgr ? 2 - c : c;  // one stored channel is shown three times
          y.as<T>()[(n * pixels + i) * 3 + c] = narrow<T>(v[size_t(i * s.c + from)] * double(pre.scale[c]) + double(pre.shift[c]));
        }
    });
  });
}

}  // namespace ptrain::reference
