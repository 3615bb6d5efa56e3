// The frozen depthwise convolution: y = act(scale · depthwise(x, w) + shift [+ residual]).
#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"
#include "kernels/cpu/memory.hpp"
#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu {
namespace {

// float32 in any case: scale · w, rounded to the type of the activations, as r·s rows of c; then shift, a row of c.
struct PackedDepthwise final : PackedWeights {
  PackedDepthwise(const DepthwiseShape& s, DType t) : shape(s), type(t), data(int64_t(sizeof(float)) * (s.r * s.s + 1) * s.c) {}
  float* weights() const { return static_cast<float*>(data.data()); }
  float* bias() const { return weights() + shape.r * shape.s * shape.c; }
  DepthwiseShape shape;
  DType type;
  Block data;
};

template <class T>
struct Row {
  const DepthwiseShape& s;
  const float *w, *b;
  const T* image;     // of x
  const T* residual;  // of this row; null when there is none
  T* y;
  int64_t p, r_begin, r_end;  // the rows of the window that lie inside the image
};

template <class A>
Vec activate(Vec v) {
  if constexpr (!std::is_same_v<A, Linear>) v = v < 0 ? Vec{} : v;
  if constexpr (std::is_same_v<A, Relu6>) v = v > 6 ? Vec{} + 6 : v;
  return v;
}

// y[p,q,c] = act(b[c] + Σ_{r,s} x[p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c] [+ residual[p,q,c]]), q = q … q + kQ − 1, window
// 3×3, all of its columns inside the image.
// Layout : x, y NHWC; w is RSC in float32; c is a multiple of 16.
// Thread : one row of y; 16 channels and kQ outputs at a time, so that a column of x is loaded once for all outputs that it touches.
// Memory : reads x once from the nearest cache (3·(kQ·stride + 2)/kQ loads an output), writes y once: bound by L2 bandwidth.
// Exact  : sums in r, s order in float32, with fused multiply-adds where the processor has them.
template <int kStride, int kQ, class A, class T>
void row_block(const Row<T>& row, int64_t q) {
  const int64_t c = row.s.c, first = q * kStride - row.s.pad_w;
  for (int64_t ch = 0; ch < c; ch += kLanes) {
    Vec sum[kQ];
    for (int i = 0; i < kQ; ++i) sum[i] = load(row.b + ch);
    for (int64_t r = row.r_begin; r < row.r_end; ++r) {
      const T* x = row.image + ((row.p * kStride - row.s.pad_h + r) * row.s.w + first) * c + ch;
      const float* w = row.w + r * 3 * c + ch;
      const Vec tap[3] = {load(w), load(w + c), load(w + 2 * c)};
#pragma GCC unroll 16
      for (int column = 0; column < (kQ - 1) * kStride + 3; ++column) {
        const Vec v = load(x + column * c);
#pragma GCC unroll 16
        for (int i = 0; i < kQ; ++i)
          if (const int t = column - i * kStride; t >= 0 && t < 3) sum[i] += v * tap[t];
      }
    }
    for (int i = 0; i < kQ; ++i) {
      const int64_t at = (q + i) * c + ch;
      if (row.residual) sum[i] += load(row.residual + at);
      store(row.y + at, activate<A>(sum[i]));
    }
  }
}

// The same for one output, any window, any number of channels; `sums` holds c floats.
template <class A, class T>
void row_one(const Row<T>& row, int64_t q, float* sums) {
  const DepthwiseShape& s = row.s;
  std::copy_n(row.b, s.c, sums);
  for (int64_t r = row.r_begin; r < row.r_end; ++r)
    for (int64_t t = 0; t < s.s; ++t) {
      const int64_t column = q * s.stride - s.pad_w + t;
      if (column < 0 || column >= s.w) continue;
      const T* x = row.image + ((row.p * s.stride - s.pad_h + r) * s.w + column) * s.c;
      const float* w = row.w + (r * s.s + t) * s.c;
#pragma omp simd
      for (int64_t ch = 0; ch < s.c; ++ch) sums[ch] += float(x[ch]) * w[ch];
    }
  const T* residual = row.residual ? row.residual + q * s.c : nullptr;
  T* y = row.y + q * s.c;
#pragma omp simd
  for (int64_t ch = 0; ch < s.c; ++ch) y[ch] = T(A::apply(sums[ch] + (residual ? float(residual[ch]) : 0.f)));
}

template <int kStride, class A, class T>
void row_3x3(const Row<T>& row, float* sums) {
  const int64_t columns = row.s.q();
  const int64_t inside = std::min(columns, (row.s.w + row.s.pad_w - 3) / kStride + 1);  // the first output whose window ends outside
  int64_t q = 0;
  for (; q * kStride < row.s.pad_w && q < columns; ++q) row_one<A>(row, q, sums);
  for (; q + 4 <= inside; q += 4) row_block<kStride, 4, A>(row, q);
  for (; q + 2 <= inside; q += 2) row_block<kStride, 2, A>(row, q);
  for (; q < inside; ++q) row_block<kStride, 1, A>(row, q);
  for (; q < columns; ++q) row_one<A>(row, q, sums);
}

template <class A, class T>
void one_row(const Row<T>& row, float* sums) {
  const DepthwiseShape& s = row.s;
  const bool fast = s.r == 3 && s.s == 3 && s.c % kLanes == 0 && s.w + s.pad_w >= 3;
  if (fast && s.stride == 1) return row_3x3<1, A>(row, sums);
  if (fast && s.stride == 2) return row_3x3<2, A>(row, sums);
  for (int64_t q = 0; q < s.q(); ++q) row_one<A>(row, q, sums);
}

}  // namespace

std::shared_ptr<const PackedWeights> CpuBackend::do_pack_depthwise(Exec&, const Fused<DepthwiseShape>& f, Buffer w, Buffer scale, Buffer shift) {
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
  REQUIRE_THAT(packed && packed->shape == one && packed->type == x.dtype, "depthwise_bn_act: the weights were packed for another convolution, type or device");
  const DepthwiseShape& s = f.conv;
  const int64_t p_count = s.p(), row_size = s.q() * s.c;
  const int parts = part_count(e, s.n * p_count, row_size);
  float* scratch = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * parts * s.c));
  with_type(x.dtype, [&]<class T>(T) {
    with_act(f.act, [&]<class A>(A) {
      parallel(parts, s.n * p_count, [&](Part part) {
        for (int64_t i = part.begin; i < part.end; ++i) {
          const int64_t p = i % p_count, top = p * s.stride - s.pad_h;
          const Row<T> row{.s = s,
                           .w = packed->weights(),
                           .b = packed->bias(),
                           .image = x.as<const T>() + i / p_count * s.h * s.w * s.c,
                           .residual = f.residual ? residual.as<const T>() + i * row_size : nullptr,
                           .y = y.as<T>() + i * row_size,
                           .p = p,
                           .r_begin = std::max<int64_t>(0, -top),
                           .r_end = std::min(s.r, s.h - top)};
          one_row<A>(row, scratch + part.index * s.c);
        }
      });
    });
  });
}

}  // namespace ptrain::cpu
