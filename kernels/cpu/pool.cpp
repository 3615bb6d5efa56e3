// Pooling. Everything here is bound by memory: the innermost loops run over the channels of a pixel.
#include <algorithm>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {
namespace {

struct Range {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};

// The part of the window of output p that lies inside [0, length).
Range inside(const PoolShape& s, int64_t p, int64_t length) {
  const int64_t first = p * s.stride - s.pad;
  return {std::max<int64_t>(0, first), std::min(length, first + s.window)};
}

// The outputs whose windows cover input h.
Range covering(const PoolShape& s, int64_t h, int64_t outputs) {
  const int64_t last_before = h + s.pad - s.window;  // where the window of the last output that ends before h would start
  return {last_before < 0 ? 0 : last_before / s.stride + 1, std::min(outputs, (h + s.pad) / s.stride + 1)};
}

// A pixel of an NHWC tensor, its number, and c floats of working memory that belong to the thread.
struct Pixel {
  int64_t n, h, w, index;
  float* sum;
};

// Calls body(pixel) for each of the n·h·w pixels; `sums` holds exec.threads() times c floats.
template <class Body>
void for_pixels(const Exec& e, const PoolShape& s, int64_t h, int64_t w, float* sums, Body&& body) {
  const int parts = part_count(e, s.n * h, w * s.c);
  parallel(parts, s.n * h, [&](Part part) {
    for (int64_t row = part.begin; row < part.end; ++row)
      for (int64_t column = 0; column < w; ++column) body(Pixel{row / h, row % h, column, row * w + column, sums + part.index * s.c});
  });
}

// A NaN is larger than everything, so that it is seen.
bool larger(float a, float b) { return a > b || (a != a && b == b); }
bool same(float a, float b) { return a == b || (a != a && b != b); }

float* sums_of(Exec& e, const PoolShape& s) { return static_cast<float*>(e.scratch(int64_t(sizeof(float)) * e.threads() * s.c)); }

}  // namespace

// y = max of the window; padding is −∞.
void CpuBackend::do_max_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y) {
  with_type(x.dtype, [&]<class T>(T) {
    for_pixels(e, s, s.p(), s.q(), nullptr, [&](const Pixel& out) {
      const Range rows = inside(s, out.h, s.h), columns = inside(s, out.w, s.w);
      const T* image = x.as<const T>() + out.n * s.h * s.w * s.c;
      T* to = y.as<T>() + out.index * s.c;
      std::copy_n(image + (rows.begin * s.w + columns.begin) * s.c, s.c, to);
      for (int64_t h = rows.begin; h < rows.end; ++h)
        for (int64_t w = columns.begin; w < columns.end; ++w) {
          const T* from = image + (h * s.w + w) * s.c;
#pragma omp simd
          for (int64_t c = 0; c < s.c; ++c) to[c] = larger(float(from[c]), float(to[c])) ? from[c] : to[c];
        }
    });
  });
}

// Where each maximum is first found goes to scratch memory, as a place in its window; then every input gathers from the windows
// that cover it. No two threads write one value, and a sum over overlapping windows is rounded once.
void CpuBackend::do_max_pool_backward(Exec& e, const PoolShape& s, Buffer x, Buffer y, Buffer dy, Into dx) {
  REQUIRE_THAT(s.window < 256, "max_pool_backward: a window of ", s.window);
  const int64_t places = (s.y_size() * int64_t(sizeof(uint16_t)) + 63) / 64 * 64;
  char* scratch = static_cast<char*>(e.scratch(places + int64_t(sizeof(float)) * e.threads() * s.c));
  uint16_t* place = reinterpret_cast<uint16_t*>(scratch);
  float* sums = reinterpret_cast<float*>(scratch + places);
  const auto place_of = [&](int64_t p, int64_t q, int64_t h, int64_t w) {
    return uint16_t((h - p * s.stride + s.pad) * s.window + w - q * s.stride + s.pad);
  };
  const int64_t p_count = s.p(), q_count = s.q();
  with_type(x.dtype, [&]<class T>(T) {
    for_pixels(e, s, p_count, q_count, nullptr, [&](const Pixel& out) {
      const Range rows = inside(s, out.h, s.h), columns = inside(s, out.w, s.w);
      const T *best = y.as<const T>() + out.index * s.c, *image = x.as<const T>() + out.n * s.h * s.w * s.c;
      uint16_t* to = place + out.index * s.c;
      for (int64_t h = rows.end; h-- > rows.begin;)  // from the last to the first, so that the first one stays
        for (int64_t w = columns.end; w-- > columns.begin;) {
          const T* from = image + (h * s.w + w) * s.c;
          const uint16_t here = place_of(out.h, out.w, h, w);
#pragma omp simd
          for (int64_t c = 0; c < s.c; ++c) to[c] = same(float(from[c]), float(best[c])) ? here : to[c];
        }
    });
    with_flag(dx.how == Accumulate::yes, [&]<class Add>(Add) {
      for_pixels(e, s, s.h, s.w, sums, [&](const Pixel& in) {
        const Range ps = covering(s, in.h, p_count), qs = covering(s, in.w, q_count);
        float* sum = in.sum;
        std::fill_n(sum, s.c, 0.f);
        for (int64_t p = ps.begin; p < ps.end; ++p)
          for (int64_t q = qs.begin; q < qs.end; ++q) {
            const int64_t at = ((in.n * p_count + p) * q_count + q) * s.c;
            const uint16_t here = place_of(p, q, in.h, in.w);
            const uint16_t* found = place + at;
            const T* from = dy.as<const T>() + at;
#pragma omp simd
            for (int64_t c = 0; c < s.c; ++c) sum[c] += found[c] == here ? float(from[c]) : 0.f;
          }
        T* to = dx.buffer.as<T>() + in.index * s.c;
#pragma omp simd
        for (int64_t c = 0; c < s.c; ++c) put<Add::value>(to[c], sum[c]);
      });
    });
  });
}

// y = mean of the window; padding is left out of it.
void CpuBackend::do_avg_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y) {
  with_type(x.dtype, [&]<class T>(T) {
    for_pixels(e, s, s.p(), s.q(), sums_of(e, s), [&](const Pixel& out) {
      const Range rows = inside(s, out.h, s.h), columns = inside(s, out.w, s.w);
      float* sum = out.sum;
      std::fill_n(sum, s.c, 0.f);
      for (int64_t h = rows.begin; h < rows.end; ++h)
        for (int64_t w = columns.begin; w < columns.end; ++w) {
          const T* from = x.as<const T>() + ((out.n * s.h + h) * s.w + w) * s.c;
#pragma omp simd
          for (int64_t c = 0; c < s.c; ++c) sum[c] += float(from[c]);
        }
      T* to = y.as<T>() + out.index * s.c;
      const float count = float(rows.count() * columns.count());
#pragma omp simd
      for (int64_t c = 0; c < s.c; ++c) to[c] = T(sum[c] / count);
    });
  });
}

// dx = Σ over the windows that cover it of dy / (their number of pixels inside).
void CpuBackend::do_avg_pool_backward(Exec& e, const PoolShape& s, Buffer dy, Into dx) {
  const int64_t p_count = s.p(), q_count = s.q();
  with_type(dy.dtype, [&]<class T>(T) {
    with_flag(dx.how == Accumulate::yes, [&]<class Add>(Add) {
      for_pixels(e, s, s.h, s.w, sums_of(e, s), [&](const Pixel& in) {
        const Range ps = covering(s, in.h, p_count), qs = covering(s, in.w, q_count);
        float* sum = in.sum;
        std::fill_n(sum, s.c, 0.f);
        for (int64_t p = ps.begin; p < ps.end; ++p)
          for (int64_t q = qs.begin; q < qs.end; ++q) {
            const float count = float(inside(s, p, s.h).count() * inside(s, q, s.w).count());
            const T* from = dy.as<const T>() + ((in.n * p_count + p) * q_count + q) * s.c;
#pragma omp simd
            for (int64_t c = 0; c < s.c; ++c) sum[c] += float(from[c]) / count;
          }
        T* to = dx.buffer.as<T>() + in.index * s.c;
#pragma omp simd
        for (int64_t c = 0; c < s.c; ++c) put<Add::value>(to[c], sum[c]);
      });
    });
  });
}

// y[n, c] = mean over the rows of image n. Sums in double, rows in order.
void CpuBackend::do_global_avg_pool_forward(Exec& e, int64_t n, RowShape image, Buffer x, Buffer y) {
  const int parts = part_count(e, n, image.size());
  double* sums = static_cast<double*>(e.scratch(int64_t(sizeof(double)) * parts * image.c));
  with_type(x.dtype, [&]<class T>(T) {
    parallel(parts, n, [&](Part part) {
      double* sum = sums + part.index * image.c;
      for (int64_t i = part.begin; i < part.end; ++i) {
        std::fill_n(sum, image.c, 0.0);
        for (int64_t row = 0; row < image.rows; ++row) {
          const T* from = x.as<const T>() + (i * image.rows + row) * image.c;
#pragma omp simd
          for (int64_t c = 0; c < image.c; ++c) sum[c] += double(float(from[c]));
        }
        T* to = y.as<T>() + i * image.c;
        for (int64_t c = 0; c < image.c; ++c) to[c] = T(float(sum[c] / double(image.rows)));
      }
    });
  });
}

void CpuBackend::do_global_avg_pool_backward(Exec& e, int64_t n, RowShape image, Buffer dy, Into dx) {
  with_type(dy.dtype, [&]<class T>(T) {
    with_flag(dx.how == Accumulate::yes, [&]<class Add>(Add) {
      parallel(e, n * image.rows, image.c, [&](Part part) {
        for (int64_t row = part.begin; row < part.end; ++row) {
          const T* from = dy.as<const T>() + row / image.rows * image.c;
          T* to = dx.buffer.as<T>() + row * image.c;
          const float share = 1 / float(image.rows);
#pragma omp simd
          for (int64_t c = 0; c < image.c; ++c) put<Add::value>(to[c], float(from[c]) * share);
        }
      });
    });
  });
}

}  // namespace ptrain::cpu
