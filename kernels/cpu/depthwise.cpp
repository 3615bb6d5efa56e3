// The depthwise convolution, y = act(depthwise(x, w) + bias [+ residual]), and its frozen form with scale and shift folded in.
#include "kernels/cpu/depthwise.hpp"

#include <limits>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu {
namespace {

// An activation as bounds, so that one loop serves all of them.
struct Bounds {
  float low, high;
  explicit Bounds(Act act) : low(act == Act::none ? -kInfinity : 0.f), high(act == Act::relu6 ? 6.f : kInfinity) {}
  template <class V>
  V clip(V v) const {
    return at_most(at_least(v, low), high);
  }
  static constexpr float kInfinity = std::numeric_limits<float>::infinity();
};

// One image, and where the rows of y that are computed lie in it.
template <class T>
struct Rows {
  const DepthwiseShape& s;
  const float *w, *b;
  Bounds bounds;
  const T* image;       // of x
  const T* residual;    // of the first row; null when there is none
  T* y;                 // the first row
  int64_t top;          // the row of x that the first row of its window sees
  int64_t x_first = 0;  // the row that lies at `image`
};

// y[p,q,c] = act(b[c] + Σ_{r,s} x[p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c] [+ residual[p,q,c]]) for kP rows from p on and
// kQ columns from q on, window 3×3.
// Layout : x, y NHWC; w is RSC in float32; c is a multiple of 16.
// Thread : 16 channels of kP × kQ outputs at a time: a pixel of x is loaded once for all outputs that it touches.
// Memory : reads x once from the nearest cache but one ((kP·stride + 2)/(kP·stride) times), writes y once: bound by that cache.
// Exact  : sums in r, s order in float32, with fused multiply-adds where the processor has them; pixels outside are left out.
template <int kStride, int kP, int kQ, bool kEdge, class T>
void block(const Rows<T>& rows, int64_t q) {
  constexpr int kRows = (kP - 1) * kStride + 3, kColumns = (kQ - 1) * kStride + 3;
  const int64_t c = rows.s.c, first = q * kStride - rows.s.pad_w, y_row = rows.s.q() * c;
  const int64_t from = std::max<int64_t>(0, -first), to = std::min<int64_t>(kColumns, rows.s.w - first);
  for (int64_t ch = 0; ch < c; ch += kLanes) {
    Vec sum[kP][kQ];
    const Vec bias = load(rows.b + ch);
    unrolled<kP * kQ>([&](auto i) PTRAIN_INLINE { sum[i / kQ][i % kQ] = bias; });
    unrolled<kRows>([&](auto row) PTRAIN_INLINE {
      const int64_t h = rows.top + row;
      if (h < 0 || h >= rows.s.h) return;
      const T* x = rows.image + ((h - rows.x_first) * rows.s.w + first) * c + ch;
      Vec tap[kP][3];
      unrolled<kP * 3>([&](auto i) PTRAIN_INLINE {
        constexpr int kTap = row - i / 3 * kStride;
        if constexpr (kTap >= 0 && kTap < 3) tap[i / 3][i % 3] = load(rows.w + (kTap * 3 + i % 3) * c + ch);
      });
      unrolled<kColumns>([&](auto column) PTRAIN_INLINE {
        if (kEdge && (column < from || column >= to)) return;
        const Vec v = load(x + column * c);
        unrolled<kP * kQ>([&](auto i) PTRAIN_INLINE {
          constexpr int kR = row - i / kQ * kStride, kS = column - i % kQ * kStride;
          if constexpr (kR >= 0 && kR < 3 && kS >= 0 && kS < 3) sum[i / kQ][i % kQ] += v * tap[i / kQ][kS];
        });
      });
    });
    unrolled<kP * kQ>([&](auto i) PTRAIN_INLINE {
      const int64_t at = i / kQ * y_row + (q + i % kQ) * c + ch;
      Vec v = sum[i / kQ][i % kQ];
      if (rows.residual) v += load(rows.residual + at);
      store(rows.y + at, rows.bounds.clip(v));
    });
  }
}

template <int kStride, int kP, int kQ, class T>
void blocks(const Rows<T>& rows, int64_t& q) {
  for (; q + kQ <= rows.s.q(); q += kQ) {
    const int64_t first = q * kStride - rows.s.pad_w;
    if (first < 0 || first + (kQ - 1) * kStride + 3 > rows.s.w) block<kStride, kP, kQ, true>(rows, q);
    else block<kStride, kP, kQ, false>(rows, q);
  }
}

// Seven divides the widths of a net for 224 pixels: 112, 56, 28, 14, 7.
template <int kStride, int kP, class T>
void rows_3x3(const Rows<T>& rows) {
  int64_t q = 0;
  blocks<kStride, kP, 7>(rows, q);
  blocks<kStride, kP, 3>(rows, q);
  blocks<kStride, kP, 1>(rows, q);
}

// The same for any window and any number of channels; `sums` holds c floats.
template <class T>
void row_any(const Rows<T>& row, float* sums) {
  const DepthwiseShape& s = row.s;
  for (int64_t q = 0; q < s.q(); ++q) {
    std::copy_n(row.b, s.c, sums);
    for (int64_t r = std::max<int64_t>(0, -row.top); r < std::min(s.r, s.h - row.top); ++r)
      for (int64_t t = 0; t < s.s; ++t) {
        const int64_t column = q * s.stride - s.pad_w + t;
        if (column < 0 || column >= s.w) continue;
        const T* x = row.image + ((row.top + r) * s.w + column) * s.c;
        const float* w = row.w + (r * s.s + t) * s.c;
#pragma omp simd
        for (int64_t ch = 0; ch < s.c; ++ch) sums[ch] += float(x[ch]) * w[ch];
      }
    const T* residual = row.residual ? row.residual + q * s.c : nullptr;
    T* y = row.y + q * s.c;
    for (int64_t ch = 0; ch < s.c; ++ch) {
      const float v = sums[ch] + (residual ? float(residual[ch]) : 0.f);
      y[ch] = T(row.bounds.clip(v));
    }
  }
}

// One row of y, or two when `two` and their windows share rows enough (with stride 2 they share but one). Returns how many.
template <class T>
int64_t some_rows(const Rows<T>& rows, bool two) {
  if (rows.s.stride == 2) rows_3x3<2, 1>(rows);
  else if (two) rows_3x3<1, 2>(rows);
  else rows_3x3<1, 1>(rows);
  return rows.s.stride == 1 && two ? 2 : 1;
}

}  // namespace

bool depthwise_is_fast(const DepthwiseShape& s) { return s.r == 3 && s.s == 3 && s.c % kLanes == 0 && s.stride <= 2; }

void depthwise_strip(const PackedDepthwise& packed, Act act, int64_t first, int64_t last, const float* x, int64_t x_first, float* y) {
  const DepthwiseShape& s = packed.shape;
  for (int64_t p = first; p < last;) {
    const Rows<float> rows{.s = s,
                           .w = packed.weights(),
                           .b = packed.bias(),
                           .bounds = Bounds(act),
                           .image = x,
                           .residual = nullptr,
                           .y = y + (p - first) * s.q() * s.c,
                           .top = p * s.stride - s.pad_h,
                           .x_first = x_first};
    p += some_rows(rows, p + 1 < last);
  }
}

std::shared_ptr<const PackedWeights> CpuBackend::do_pack_depthwise(Exec&, const Fused<DepthwiseShape>& f, Buffer w, Buffer scale,
                                                                   Buffer shift) {
  DepthwiseShape shape = f.conv;
  shape.n = 1;
  const auto packed = std::make_shared<PackedDepthwise>(shape, w.dtype);
  with_type(w.dtype, [&]<class T>(T) {
    for (int64_t i = 0; i < w.size; ++i) packed->weights()[i] = float(T(float(w.as<T>()[i]) * scale.as<float>()[i % shape.c]));
  });
  std::copy_n(shift.as<const float>(), shape.c, packed->bias());
  return packed;
}

void CpuBackend::do_depthwise_bn_act(Exec& e, const Fused<DepthwiseShape>& f, Buffer x, const PackedWeights& w, Buffer residual, Buffer y) {
  const auto* packed = dynamic_cast<const PackedDepthwise*>(&w);
  DepthwiseShape one = f.conv;
  one.n = 1;
  REQUIRE_THAT(packed && packed->shape == one && packed->type == x.dtype,
               "depthwise_bn_act: the weights were packed for another convolution, type or device");
  float* sums = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * e.threads() * one.c));
  depthwise_rows(e, f.conv,
                 {.x = x,
                  .w = packed->weights(),
                  .bias = packed->bias(),
                  .act = f.act,
                  .residual = f.residual ? residual : Buffer{},
                  .y = y,
                  .sums = sums});
}

void depthwise_rows(Exec& e, const DepthwiseShape& s, const DepthwiseCall& call) {
  const int64_t p_count = s.p(), row_size = s.q() * s.c;
  const bool fast = depthwise_is_fast(s);
  with_type(call.x.dtype, [&]<class T>(T) {
    parallel(e, s.n * p_count, row_size, [&](Part part) {
      for (int64_t i = part.begin, count = 1; i < part.end; i += count) {
        const int64_t p = i % p_count;
        const Rows<T> rows{.s = s,
                           .w = call.w,
                           .b = call.bias,
                           .bounds = Bounds(call.act),
                           .image = call.x.as<const T>() + i / p_count * s.h * s.w * s.c,
                           .residual = call.residual ? call.residual.as<const T>() + i * row_size : nullptr,
                           .y = call.y.as<T>() + i * row_size,
                           .top = p * s.stride - s.pad_h};
        if (call.from_memory)
          for (int64_t ahead = 0; ahead < 2; ++ahead) {
            prefetch_row(call.x.data, i / p_count * s.h + std::max<int64_t>(0, p * s.stride - s.pad_h + s.r + 1 + ahead), s.n * s.h,
                         s.w * s.c * int64_t(sizeof(T)));
            prefetch_row(call.y.data, i + 2 + ahead, s.n * p_count, row_size * int64_t(sizeof(T)));
          }
        if (fast) count = some_rows(rows, p + 1 < p_count && i + 1 < part.end);
        else row_any(rows, call.sums + part.index * s.c), count = 1;
      }
    });
  });
}

}  // namespace ptrain::cpu
