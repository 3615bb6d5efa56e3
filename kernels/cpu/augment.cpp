// Augmentation: warp → contrast → brightness → the net's preprocessing, from the cached uint8 images to the net's input. Source
// positions are float32 in Keras' order of operations: this file is compiled without fused multiply-add.
#include <cmath>
#include <cstring>
#include <numeric>

#include "kernels/cpu/column_sums.hpp"
#include "kernels/cpu/cpu.hpp"

namespace ptrain::cpu {
namespace {

// What one thread works in: the warped image, channel by channel, and one row of source positions and of the four pixels around each.
struct Workspace {
  Workspace(const AugmentShape& s, char* memory)
      : planes(reinterpret_cast<float*>(memory)),
        x(planes + s.h * s.w * s.c),
        y(x + s.w),
        left(reinterpret_cast<int32_t*>(y + s.w)),
        top(left + s.w),
        offset(top + s.w) {
    for (int i = 0; i < 4; ++i) four[i] = reinterpret_cast<uint32_t*>(offset + s.w) + i * s.w, tap[i] = reinterpret_cast<uint8_t*>(four[i]);
  }
  static int64_t bytes(const AugmentShape& s) { return (s.h * s.w * s.c * 4 + s.w * (5 * 4 + 4 * 4) + 63) / 64 * 64; }
  float* planes;        // [c][h][w]
  float *x, *y;         // [w]
  int32_t *left, *top;  // [w]
  int32_t* offset;      // [w]: of the upper left pixel, where it and its neighbours are all there
  uint8_t* tap[4];      // [w]: upper left, upper right, lower left, lower right
  uint32_t* four[4];    // [w], in their place: four bytes of three channels each, see blend_row_rgb()
};

// at → the source position of the fill mode, in [0, last]; for `constant` what is far outside comes near, so that it fits an integer.
// Selections only, no branches, so that the loops are vectorised. A NaN ends at the low end.
void fold_into_image(FillMode fill, int64_t size, float* at, int64_t count) {
  const auto length = float(size), last = length - 1;
  if (size > 1 && fill == FillMode::reflect) {  // d c b a | a b c d | d c b a, with period 2·length
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      const float v = at[i], low = v + 2 * length * std::trunc(-v / (2 * length)), high = v - 2 * length * std::trunc(v / (2 * length));
      const float reflected_low = low < -length ? low + 2 * length : -low - 1,
                  reflected_high = high >= length ? 2 * length - high - 1 : high;
      at[i] = v < 0 ? reflected_low : v > last ? reflected_high : v;
    }
  }
  if (size > 1 && fill == FillMode::wrap) {  // a b c d | a b c d | a b c d
#pragma omp simd
    for (int64_t i = 0; i < count; ++i) {
      const float v = at[i], low = v + length * (std::trunc(-v / last) + 1), high = v - length * std::trunc(v / last);
      at[i] = v < 0 ? low : v > last ? high : v;
    }
  }
  const float least = fill == FillMode::constant ? -2 : 0, most = fill == FillMode::constant ? length + 1 : last;
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) at[i] = at[i] > least ? (at[i] < most ? at[i] : most) : least;
}

// Rounds to the nearest, halves away from zero.
void round_positions(float* at, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) {
    const float whole = std::trunc(at[i]), rest = at[i] - whole;
    at[i] = whole + (rest >= 0.5f ? 1.f : 0.f) - (rest <= -0.5f ? 1.f : 0.f);
  }
}

// The pixels of a row whose source positions lie in [0, last] in both directions.
struct Inside {
  int64_t begin = 0, end = 0;
};

// Along a row positions rise or fall, so that such pixels are neighbours.
Inside find_inside(const AugmentShape& s, const Workspace& work) {
  const auto inside = [&](int64_t i) {
    return work.x[i] >= 0 && work.x[i] <= float(s.w - 1) && work.y[i] >= 0 && work.y[i] <= float(s.h - 1);
  };
  Inside in{0, s.w};
  while (in.begin < in.end && !inside(in.begin)) ++in.begin;
  while (in.begin < in.end && !inside(in.end - 1)) --in.end;
  return in;
}

// Fills work.x and work.y with the source positions of output row `row`. Returns the pixels that may be blended without looking
// whether the pixels around them are there.
Inside find_positions(const AugmentShape& s, const Transform& t, int64_t row, Workspace& work) {
  const auto y = float(row);
  float *at_x = work.x, *at_y = work.y;
#pragma omp simd
  for (int64_t i = 0; i < s.w; ++i) {
    const auto x = float(i);
    at_x[i] = t.a0 * x + t.a1 * y + t.a2;
    at_y[i] = t.b0 * x + t.b1 * y + t.b2;
  }
  const bool affine = t.c0 == 0 && t.c1 == 0;
  for (int64_t i = 0; !affine && i < s.w; ++i) {
    const float k = t.c0 * float(i) + t.c1 * y + 1;
    at_x[i] /= k;
    at_y[i] /= k;
  }
  const Inside in = affine ? find_inside(s, work) : Inside{};
  for (const Inside out : {Inside{0, in.begin}, Inside{in.end, s.w}}) {
    fold_into_image(s.fill, s.w, at_x + out.begin, out.end - out.begin);
    fold_into_image(s.fill, s.h, at_y + out.begin, out.end - out.begin);
  }
  if (s.interpolation == Interpolation::nearest) {
    round_positions(at_x, s.w);
    round_positions(at_y, s.w);
  }
  if (s.w < 2 || s.h < 2) return {};  // there is no second pixel to blend with
  return s.fill == FillMode::constant ? in : Inside{0, s.w};
}

// p: upper left, upper right, lower left, lower right; a and b: how far to the right and down.
float blend(const float (&p)[4], float a, float b) {
  const float upper = p[0] + (p[1] - p[0]) * a, lower = p[2] + (p[3] - p[2]) * a;
  return upper + (lower - upper) * b;
}

// Pixels [begin, end) of one channel of one row: the four pixels around each position, blended.
// Layout : image uint8 HWC; to float32, one channel.
// Thread : a row. Positions and blends are vectors; the bytes are fetched one by one, for hardware gathers are no faster.
// Memory : reads four bytes an output, most of them from the nearest cache.
// Exact  : float32. With kChecked a pixel outside the image has the fill value; without, none is.
template <bool kChecked>
void blend_row(const AugmentShape& s, const uint8_t* image, int64_t begin, int64_t end, Workspace& work, float* to) {
  const int64_t right = s.c, down = s.w * s.c;
  const auto w = int32_t(s.w), h = int32_t(s.h);
  const float *x = work.x, *y = work.y;
  const int32_t *left = work.left, *top = work.top;
  uint8_t *t0 = work.tap[0], *t1 = work.tap[1], *t2 = work.tap[2], *t3 = work.tap[3];
  for (int64_t i = begin; i < end; ++i) {
    if constexpr (kChecked) {
      const auto fetch = [&](int32_t v, int32_t u) { return image[std::clamp(v, 0, h - 1) * down + std::clamp(u, 0, w - 1) * right]; };
      t0[i] = fetch(top[i], left[i]);
      t1[i] = fetch(top[i], left[i] + 1);
      t2[i] = fetch(top[i] + 1, left[i]);
      t3[i] = fetch(top[i] + 1, left[i] + 1);
    } else {
      const uint8_t* p = image + work.offset[i];
      t0[i] = p[0];
      t1[i] = p[right];
      t2[i] = p[down];
      t3[i] = p[down + right];
    }
  }
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    float p[4] = {float(t0[i]), float(t1[i]), float(t2[i]), float(t3[i])};
    if constexpr (kChecked) {
      const bool l = left[i] >= 0 && left[i] < w, r = left[i] >= -1 && left[i] < w - 1;
      const bool u = top[i] >= 0 && top[i] < h, d = top[i] >= -1 && top[i] < h - 1;
      p[0] = l && u ? p[0] : s.fill_value;
      p[1] = r && u ? p[1] : s.fill_value;
      p[2] = l && d ? p[2] : s.fill_value;
      p[3] = r && d ? p[3] : s.fill_value;
    }
    to[i] = blend(p, x[i] - float(left[i]), y[i] - float(top[i]));
  }
}

// The same for three channels at once and pixels of which none is outside. A pixel and its right neighbour are six bytes, r g b r' g' b':
// the first four and the last four of them are fetched, for the row above and the row below.
void blend_row_rgb(const AugmentShape& s, const uint8_t* image, int64_t begin, int64_t end, Workspace& work, float* to) {
  const int64_t down = s.w * 3, plane = s.h * s.w;
  const float *x = work.x, *y = work.y;
  const int32_t *left = work.left, *top = work.top;
  uint32_t *f0 = work.four[0], *f1 = work.four[1], *f2 = work.four[2], *f3 = work.four[3];
  for (int64_t i = begin; i < end; ++i) {
    const uint8_t* p = image + work.offset[i];
    std::memcpy(f0 + i, p, 4);
    std::memcpy(f1 + i, p + 2, 4);
    std::memcpy(f2 + i, p + down, 4);
    std::memcpy(f3 + i, p + down + 2, 4);
  }
  for (int c = 0; c < 3; ++c) {
    float* channel = to + c * plane;
    const int low = 8 * c, high = 8 * c + 8;
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const auto byte = [](uint32_t four, int shift) { return float(int32_t(four >> shift & 255)); };
      const float p[4] = {byte(f0[i], low), byte(f1[i], high), byte(f2[i], low), byte(f3[i], high)};
      channel[i] = blend(p, x[i] - float(left[i]), y[i] - float(top[i]));
    }
  }
}

// The upper left one of the four pixels around each position.
template <bool kChecked>
void find_corners(const AugmentShape& s, int64_t begin, int64_t end, Workspace& work) {
  const auto w = int32_t(s.w), h = int32_t(s.h);
  const float *x = work.x, *y = work.y;
  int32_t *left = work.left, *top = work.top, *offset = work.offset;
  const auto right = int32_t(s.c), down = int32_t(s.w * s.c);
#pragma omp simd
  for (int64_t i = begin; i < end; ++i) {
    left[i] = kChecked ? int32_t(std::floor(x[i])) : std::min(int32_t(x[i]), w - 2);
    top[i] = kChecked ? int32_t(std::floor(y[i])) : std::min(int32_t(y[i]), h - 2);
    if constexpr (!kChecked) offset[i] = top[i] * down + left[i] * right;
  }
}

// planes[c][y][x] = the image at ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k), k = c0·x + c1·y + 1; the fill value where k is 0.
void warp(const AugmentShape& s, const Transform& t, const uint8_t* image, Workspace& work) {
  const int64_t pixels = s.h * s.w;
  if (t == Transform{}) {
    for (int64_t c = 0; c < s.c; ++c)
#pragma omp simd
      for (int64_t i = 0; i < pixels; ++i) work.planes[c * pixels + i] = float(image[i * s.c + c]);
    return;
  }
  for (int64_t row = 0; row < s.h; ++row) {
    const Inside in = find_positions(s, t, row, work);
    find_corners<true>(s, 0, in.begin, work);
    find_corners<false>(s, in.begin, in.end, work);
    find_corners<true>(s, in.end, s.w, work);
    if (s.c == 3) blend_row_rgb(s, image, in.begin, in.end, work, work.planes + row * s.w);
    for (int64_t c = 0; c < s.c; ++c) {
      float* to = work.planes + c * pixels + row * s.w;
      blend_row<true>(s, image + c, 0, in.begin, work, to);
      if (s.c != 3) blend_row<false>(s, image + c, in.begin, in.end, work, to);
      blend_row<true>(s, image + c, in.end, s.w, work, to);
      for (int64_t i = 0; (t.c0 != 0 || t.c1 != 0) && i < s.w; ++i)
        if (t.c0 * float(i) + t.c1 * float(row) + 1 == 0) to[i] = s.fill_value;
    }
  }
}

// v = clip((v − m)·contrast + m), m the mean of the channel; v = clip(v + brightness)
void adjust(const AugmentImage& by, float mean, float* v, int64_t count) {
  const auto clipped = [](Vec x) PTRAIN_INLINE { return at_most(at_least(x, 0), 255); };
  over_lanes(0, count, [&](int64_t i, auto lanes) PTRAIN_INLINE {
    Vec x = load(v + i, lanes);
    if (by.contrast != 1) x = clipped((x - mean) * by.contrast + mean);
    if (by.brightness != 0) x = clipped(x + by.brightness);
    store(v + i, x, lanes);
  });
}

// Sixteen sums of a row in float, of the rows in double.
float mean_of(const float* v, int64_t rows, int64_t width) {
  WideSum rows_sum;
  for (int64_t row = 0; row < rows; ++row, v += width) {
    Vec sum{};
    over_lanes(0, width, [&](int64_t i, auto lanes) PTRAIN_INLINE { sum += load(v + i, lanes); });
    rows_sum.add(sum);
  }
  double sums[kLanes] = {};
  rows_sum.add_to(sums, kLanes);
  return float(std::accumulate(sums, sums + kLanes, 0.0) / double(rows * width));
}

template <class T>
void finish(const AugmentShape& s, const AugmentImage& by, const Preprocess& pre, Workspace& work, T* y) {
  float mean[3] = {};
  const int64_t pixels = s.h * s.w;
  const bool adjusted = by.contrast != 1 || by.brightness != 0;
  for (int64_t c = 0; c < s.c && by.contrast != 1; ++c) mean[c] = mean_of(work.planes + c * pixels, s.h, s.w);
  for (int64_t row = 0; row < s.h; ++row) {
    float* plane = work.planes + row * s.w;
    for (int64_t c = 0; c < s.c && adjusted; ++c) adjust(by, mean[c], plane + c * pixels, s.w);
    const auto source = [&](int64_t c) {
      return plane + (s.c == 1 ? 0 : pre.bgr ? 2 - c : c) * pixels;
    };  // one channel is shown three times
    const float *v0 = source(0), *v1 = source(1), *v2 = source(2);
    T* to = y + row * s.w * 3;
#pragma omp simd
    for (int64_t i = 0; i < s.w; ++i) {
      to[3 * i] = T(v0[i] * pre.scale[0] + pre.shift[0]);
      to[3 * i + 1] = T(v1[i] * pre.scale[1] + pre.shift[1]);
      to[3 * i + 2] = T(v2[i] * pre.scale[2] + pre.shift[2]);
    }
  }
}

}  // namespace

void CpuBackend::do_augment(Exec& e, const AugmentShape& s, std::span<const AugmentImage> images, Buffer x, const Preprocess& pre,
                            Buffer y) {
  REQUIRE_THAT(s.h * s.w * s.c < INT32_MAX, "augment: an image of ", s.h, "x", s.w);
  const int64_t size = s.h * s.w * s.c;
  const int parts = part_count(e, s.n, size);
  char* scratch = static_cast<char*>(e.scratch(parts * Workspace::bytes(s)));
  with_type(y.dtype, [&]<class T>(T) {
    parallel(parts, s.n, [&](Part part) {
      Workspace work(s, scratch + part.index * Workspace::bytes(s));
      for (int64_t i = part.begin; i < part.end; ++i) {
        warp(s, images[size_t(i)].transform, x.as<const uint8_t>() + s.source(i, images[size_t(i)]) * size, work);
        finish(s, images[size_t(i)], pre, work, y.as<T>() + i * s.h * s.w * 3);
      }
    });
  });
}

}  // namespace ptrain::cpu
