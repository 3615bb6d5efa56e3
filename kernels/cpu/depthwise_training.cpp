// Depthwise convolutions of the training path: forward, and the gradients of x and w.
#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/depthwise.hpp"
#include "kernels/cpu/folded_norm.hpp"
#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu {
namespace {

// Working memory: w in float32, times a scale[c] if there is one, turned by 180° for the gradient of x; a row of zeros as bias; sums.
struct Scratch {
  Scratch(Exec& e, const DepthwiseShape& s, Buffer from, bool turned, const float* scale = nullptr)
      : w(static_cast<float*>(e.scratch(int64_t(sizeof(float)) * (s.r * s.s + 1 + e.threads()) * s.c))) {
    const int64_t taps = s.r * s.s;
    with_type(from.dtype, [&]<class T>(T) {
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t c = 0; c < s.c; ++c)
          w[(turned ? taps - 1 - tap : tap) * s.c + c] = float(from.as<const T>()[tap * s.c + c]) * (scale ? scale[c] : 1.f);
    });
    zeros = w + taps * s.c;
    std::fill_n(zeros, s.c, 0.f);
    sums = zeros + s.c;
  }
  float *w, *zeros, *sums;
};

// With stride 1 the gradient of x is a depthwise convolution of dy with the window turned. This is its shape.
DepthwiseShape turned_shape(const DepthwiseShape& s) {
  DepthwiseShape t{
      .n = s.n, .h = s.p(), .w = s.q(), .c = s.c, .r = s.r, .s = s.s, .stride = 1, .pad_h = s.r - 1 - s.pad_h, .pad_w = s.s - 1 - s.pad_w};
  t.more_h = s.h - t.p(), t.more_w = s.w - t.q();
  return t;
}

// dx[h, w] = Σ dy[p, q] · w[r, s] over the windows that see the pixel: h = p·stride − pad + r, and so for columns.
// Thread : a row of dx at a time, sixteen channels of a pixel, in which a few windows meet.
// Memory : writes dx once; the rows of dy are in the nearest caches after their first use.
template <class T>
void gradient_of_x(Exec& e, const DepthwiseShape& s, const T* dy, const float* w, T* dx, bool add) {
  const int64_t p_count = s.p(), q_count = s.q();
  parallel(e, s.n * s.h, s.w * s.c, [&](Part part) {
    struct Tap {
      const T* dy;
      const float* w;
    };
    constexpr int kMost = 16;
    Tap taps[kMost];
    for (int64_t i = part.begin; i < part.end; ++i) {
      const int64_t image = i / s.h, h = i % s.h + s.pad_h;
      for (int64_t column = 0; column < s.w; ++column) {
        T* to = dx + (i * s.w + column) * s.c;
        int count = 0;
        bool more = add;
        const auto add_taps = [&] {
          over_lanes(0, s.c, [&](int64_t c, auto lanes) PTRAIN_INLINE {
            Vec sum = more ? load(to + c, lanes) : Vec{};
            for (int t = 0; t < count; ++t) sum += load(taps[t].dy + c, lanes) * load(taps[t].w + c, lanes);
            store(to + c, sum, lanes);
          });
          count = 0, more = true;
        };
        for (int64_t r = h % s.stride; r < std::min(s.r, h + 1); r += s.stride) {
          const int64_t p = (h - r) / s.stride;
          if (p >= p_count) continue;
          for (int64_t t = (column + s.pad_w) % s.stride; t < std::min(s.s, column + s.pad_w + 1); t += s.stride) {
            const int64_t q = (column + s.pad_w - t) / s.stride;
            if (q >= q_count) continue;
            if (count == kMost) add_taps();
            taps[count++] = {dy + ((image * p_count + p) * q_count + q) * s.c, w + (r * s.s + t) * s.c};
          }
        }
        add_taps();
      }
    }
  });
}

// The sums of a thread for dw: float32 within an image, double beyond it.
class FilterSums {
 public:
  FilterSums(double* total, float* of_image, int64_t size) : total_(total), of_image_(of_image), size_(size) {
    std::fill_n(total_, size_, 0.0);
    std::fill_n(of_image_, size_, 0.f);
  }
  float* of_image() { return of_image_; }
  void end_image() {
    for (int64_t i = 0; i < size_; ++i) total_[i] += double(of_image_[i]), of_image_[i] = 0;
  }

 private:
  double* total_;
  float* of_image_;
  int64_t size_;
};

// Adds the products of one row of dy from column q on, kQ columns, with what a window of 3×3 sees of x: sixteen channels at a time, the
// nine sums in registers.
template <int kStride, int kQ, bool kEdge, class T>
void filter_block(const DepthwiseShape& s, const T* image, const T* dy, int64_t top, int64_t q, float* sums) {
  const int64_t first = q * kStride - s.pad_w;
  for (int64_t c = 0; c < s.c; c += kLanes) {
    Vec sum[9];
    unrolled<9>([&](auto i) PTRAIN_INLINE { sum[i] = load(sums + i * s.c + c); });
    Vec d[kQ];
    unrolled<kQ>([&](auto j) PTRAIN_INLINE { d[j] = load(dy + (q + j) * s.c + c); });
    unrolled<3>([&](auto r) PTRAIN_INLINE {
      const int64_t h = top + r;
      if (h < 0 || h >= s.h) return;
      const T* x = image + (h * s.w + first) * s.c + c;
      unrolled<(kQ - 1) * kStride + 3>([&](auto column) PTRAIN_INLINE {
        if (kEdge && (first + column < 0 || first + column >= s.w)) return;
        const Vec v = load(x + column * s.c);
        unrolled<3>([&](auto t) PTRAIN_INLINE {
          constexpr int kBehind = column - t;
          if constexpr (kBehind >= 0 && kBehind % kStride == 0 && kBehind / kStride < kQ) sum[r * 3 + t] += v * d[kBehind / kStride];
        });
      });
    });
    unrolled<9>([&](auto i) PTRAIN_INLINE { store(sums + i * s.c + c, sum[i]); });
  }
}

template <int kStride, int kQ, class T>
void filter_blocks(const DepthwiseShape& s, const T* image, const T* dy, int64_t top, int64_t& q, float* sums) {
  for (; q + kQ <= s.q(); q += kQ) {
    const int64_t first = q * kStride - s.pad_w;
    if (first < 0 || first + (kQ - 1) * kStride + 3 > s.w) filter_block<kStride, kQ, true>(s, image, dy, top, q, sums);
    else filter_block<kStride, kQ, false>(s, image, dy, top, q, sums);
  }
}

// The same for any window and any number of channels.
template <class T>
void filter_row_any(const DepthwiseShape& s, const T* image, const T* dy, int64_t top, float* sums) {
  for (int64_t q = 0; q < s.q(); ++q)
    for (int64_t r = std::max<int64_t>(0, -top); r < std::min(s.r, s.h - top); ++r)
      for (int64_t t = 0; t < s.s; ++t) {
        const int64_t column = q * s.stride - s.pad_w + t;
        if (column < 0 || column >= s.w) continue;
        const T *x = image + ((top + r) * s.w + column) * s.c, *d = dy + q * s.c;
        float* to = sums + (r * s.s + t) * s.c;
#pragma omp simd
        for (int64_t c = 0; c < s.c; ++c) to[c] += float(x[c]) * float(d[c]);
      }
}

}  // namespace

void CpuBackend::do_depthwise_forward(Exec& e, const DepthwiseShape& s, Buffer x, Buffer w, Buffer y) {
  const Scratch scratch(e, s, w, false);
  depthwise_rows(e, s, {.x = x, .w = scratch.w, .bias = scratch.zeros, .y = y, .sums = scratch.sums, .from_memory = true});
}

void CpuBackend::do_depthwise_norm_infer(Exec& e, const DepthwiseShape& s, const NormShape& norm, Buffer x, Buffer w, Buffer bias,
                                         const NormInfer& t) {
  const FoldedNorm fold(norm, bias, t);
  const Scratch scratch(e, s, w, false, fold.scale.data());
  depthwise_rows(e, s,
                 {.x = x, .w = scratch.w, .bias = fold.shift.data(), .act = norm.act, .y = t.y, .sums = scratch.sums, .from_memory = true});
}

void CpuBackend::do_depthwise_backward_data(Exec& e, const DepthwiseShape& s, Buffer dy, Buffer w, Into dx) {
  const bool add = dx.how == Accumulate::yes;
  const Scratch scratch(e, s, w, s.stride == 1);
  if (s.stride == 1)
    return depthwise_rows(e, turned_shape(s),
                          {.x = dy,
                           .w = scratch.w,
                           .bias = scratch.zeros,
                           .residual = add ? dx.buffer : Buffer{},
                           .y = dx.buffer,
                           .sums = scratch.sums,
                           .from_memory = true});
  with_type(dy.dtype, [&]<class T>(T) { gradient_of_x(e, s, dy.as<const T>(), scratch.w, dx.buffer.as<T>(), add); });
}

// dw[r, s, c] = Σ x[p·stride − pad + r, q·stride − pad + s, c] · dy[p, q, c] over images and outputs.
// Thread : a share of the rows of dy; the threads' sums are added in their order.
// Memory : reads x and dy once: bound by the memory's bandwidth.
// Exact  : float32 within an image, double beyond: the same for the same number of threads.
void CpuBackend::do_depthwise_backward_filter(Exec& e, const DepthwiseShape& s, Buffer x, Buffer dy, Into dw) {
  const int64_t p_count = s.p(), row_size = s.q() * s.c, size = s.w_size();
  const bool fast = s.r == 3 && s.s == 3 && s.c % kLanes == 0 && s.stride <= 2;
  const int parts = part_count(e, s.n * p_count, row_size);
  auto* totals = static_cast<double*>(e.scratch(parts * size * int64_t(sizeof(double) + sizeof(float))));
  auto* of_images = reinterpret_cast<float*>(totals + parts * size);
  with_type(x.dtype, [&]<class T>(T) {
    parallel(parts, s.n * p_count, [&](Part part) {
      FilterSums sums(totals + part.index * size, of_images + part.index * size, size);
      for (int64_t i = part.begin; i < part.end; ++i) {
        const int64_t p = i % p_count, top = p * s.stride - s.pad_h;
        const T *image = x.as<const T>() + i / p_count * s.h * s.w * s.c, *row = dy.as<const T>() + i * row_size;
        int64_t q = 0;
        for (int64_t ahead = 0; ahead < s.stride; ++ahead)
          prefetch_row(x.data, i / p_count * s.h + std::max<int64_t>(0, top + s.r + ahead), s.n * s.h, s.w * s.c * int64_t(sizeof(T)));
        prefetch_row(dy.data, i + 1, s.n * p_count, row_size * int64_t(sizeof(T)));
        if (!fast) filter_row_any(s, image, row, top, sums.of_image());
        else if (s.stride == 1)
          filter_blocks<1, 7>(s, image, row, top, q, sums.of_image()), filter_blocks<1, 1>(s, image, row, top, q, sums.of_image());
        else filter_blocks<2, 7>(s, image, row, top, q, sums.of_image()), filter_blocks<2, 1>(s, image, row, top, q, sums.of_image());
        if (p + 1 == p_count || i + 1 == part.end) sums.end_image();
      }
    });
  });
  for (int part = 1; part < parts; ++part)
    for (int64_t i = 0; i < size; ++i) totals[i] += totals[part * size + i];
  with_type(dw.buffer.dtype, [&]<class T>(T) {
    with_flag(dw.how == Accumulate::yes, [&]<class Add>(Add) {
      for (int64_t i = 0; i < size; ++i) put<Add::value>(dw.buffer.as<T>()[i], float(totals[i]));
    });
  });
}

}  // namespace ptrain::cpu
