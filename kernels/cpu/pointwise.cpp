#include "kernels/cpu/pointwise.hpp"

#include <array>

#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu {
namespace {

// Outputs of the panel that comes when `left` are left: what fills the registers best. An AMD Zen computes eight floats at a time, so that
// half a vector costs half.
constexpr int64_t panel_width(int64_t left) {
  for (const int64_t width : {64, 48, 32, 24, 16})
    if (left >= width) return width;
  return 8;
}

template <class V>
V load_as(const float* p) {
  V v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

struct Call {
  int64_t c, k;    // row lengths of x and y
  const float* w;  // of the panel
  const float* bias;
  Act act;
};

// What is done with a sum before it is stored. A NaN stays a NaN.
template <class V>
void finish(const Call& call, V v, const float* residual, float* y) {
  if (residual) v += load_as<V>(residual);
  if (call.act != Act::none) v = at_least(v, 0);
  if (call.act == Act::relu6) v = at_most(v, 6);
  std::memcpy(y, &v, sizeof v);
}

// y[r, 0 … kWidth) = act(bias + Σ_c x[r, c] · w[c, ·] [+ residual]) for kRows pixels.
// Layout : x, residual, y: rows of c and k floats; w: [c, kWidth].
// Thread : kRows × kWidth sums in registers; a number of x is broadcast once and used for the whole width.
// Memory : kWidth floats of w from the nearest caches for 2·kRows·kWidth operations: bound by arithmetic, 96 to 99 % of the peak from
//          c = 128 on.
// Exact  : float32, in the order of c, with fused multiply-adds where the processor has them.
template <int kRows, int kWidth>
void block(const Call& call, const float* x, const float* residual, float* y) {
  constexpr int kVecs = kWidth / kLanes;
  constexpr bool kHalf = kWidth % kLanes != 0;
  Vec sum[kRows][kVecs + 1];
  HalfVec half[kRows];
  unrolled<kRows>([&](auto r) PTRAIN_INLINE {
    unrolled<kVecs>([&](auto i) PTRAIN_INLINE { sum[r][i] = load(call.bias + i * kLanes); });
    if constexpr (kHalf) half[r] = load_as<HalfVec>(call.bias + kVecs * kLanes);
  });
  const float* w = call.w;
  for (int64_t c = 0; c < call.c; ++c, w += kWidth) {
    Vec v[kVecs + 1];
    unrolled<kVecs>([&](auto i) PTRAIN_INLINE { v[i] = load(w + i * kLanes); });
    unrolled<kRows>([&](auto r) PTRAIN_INLINE {
      const float f = x[r * call.c + c];
      unrolled<kVecs>([&](auto i) PTRAIN_INLINE { sum[r][i] += f * v[i]; });
      if constexpr (kHalf) half[r] += f * load_as<HalfVec>(w + kVecs * kLanes);
    });
  }
  unrolled<kRows>([&](auto r) PTRAIN_INLINE {
    const float* from = residual ? residual + r * call.k : nullptr;
    unrolled<kVecs>([&](auto i)
                        PTRAIN_INLINE { finish(call, sum[r][i], from ? from + i * kLanes : nullptr, y + r * call.k + i * kLanes); });
    if constexpr (kHalf) finish(call, half[r], from ? from + kVecs * kLanes : nullptr, y + r * call.k + kVecs * kLanes);
  });
}

// Any number of pixels, split evenly so that no block is small.
template <int kWidth, int kMostRows>
void panel(const Call& call, int64_t pixels, const float* x, const float* residual, float* y) {
  using Rows = void (*)(const Call&, const float*, const float*, float*);
  static constexpr auto blocks = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Rows, sizeof...(I)>{block<I + 1, kWidth>...};
  }
  (std::make_integer_sequence<int, kMostRows>{});
  const int64_t parts = (pixels + kMostRows - 1) / kMostRows;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t from = pixels * i / parts, to = pixels * (i + 1) / parts;
    blocks[size_t(to - from - 1)](call, x + from * call.c, residual ? residual + from * call.k : nullptr, y + from * call.k);
  }
}

}  // namespace

bool pointwise_fits(const ConvShape& s, DType t) { return kWideVectors && t == DType::float32 && is_pixelwise(s) && s.k % 8 == 0; }

PointwiseWeights pack_pointwise(const ConvShape& s, Act act, const float* w, const float* scale, const float* shift, float* room) {
  float* to = room;
  for (int64_t at = 0, width = 0; at < s.k; at += width) {
    width = panel_width(s.k - at);
    for (int64_t i = 0; i < s.c; ++i)
      for (int64_t j = at; j < at + width; ++j) *to++ = w[i * s.k + j] * scale[j];
  }
  std::copy_n(shift, s.k, to);
  return {s.c, s.k, act, room, to};
}

void pointwise(const PointwiseWeights& p, int64_t pixels, const float* x, const float* residual, float* y) {
  constexpr int64_t kNear = 1 << 17;  // floats of x and y that stay in the second-level cache while all panels pass over them
  const int64_t chunk = std::max<int64_t>(24, kNear / (p.c + p.k));
  for (int64_t first = 0; first < pixels; first += chunk) {
    const int64_t count = std::min(chunk, pixels - first);
    for (int64_t at = 0, width = 0; at < p.k; at += width) {
      width = panel_width(p.k - at);
      const Call call{p.c, p.k, p.panels + at * p.c, p.shift + at, p.act};
      const auto run = [&](auto panel) {
        panel(call, count, x + first * p.c, residual ? residual + first * p.k + at : nullptr, y + first * p.k + at);
      };
      switch (width) {  // sums for 24 to 28 registers of the 32
        case 64: run(panel<64, 6>); break;
        case 48: run(panel<48, 8>); break;
        case 32: run(panel<32, 12>); break;
        case 24: run(panel<24, 12>); break;
        case 16: run(panel<16, 14>); break;
        default: run(panel<8, 14>); break;
      }
    }
  }
}

void pointwise(Exec& e, const ConvShape& s, const PointwiseWeights& p, const float* x, const float* residual, float* y) {
  parallel(e, s.n * s.h * s.w, s.k, [&](Part part) {
    pointwise(p, part.end - part.begin, x + part.begin * s.c, residual ? residual + part.begin * s.k : nullptr, y + part.begin * s.k);
  });
}

}  // namespace ptrain::cpu
