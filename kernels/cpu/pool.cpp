// Pooling. Everything here is bound by memory: the innermost loops run over the channels of a pixel.
#include <algorithm>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"
#include "kernels/cpu/vec.hpp"

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

// y = finish(fold of combine over the pixels of the window that lie inside, their number); the first one starts the fold.
// Thread : 16 channels of an output at a time, in a register; rows of outputs are shared out.
// Memory : reads x window²/stride² times, all but once from the nearest caches; writes y once.
// Exact  : float32, row by row.
template <class Combine, class Finish>
void pool_forward(const Exec& e, const PoolShape& s, Buffer x, Buffer y, Combine&& combine, Finish&& finish) {
  with_type(x.dtype, [&]<class T>(T) {
    for_pixels(e, s, s.p(), s.q(), nullptr, [&](const Pixel& out) {
      const Range rows = inside(s, out.h, s.h), columns = inside(s, out.w, s.w);
      const T* first = x.as<const T>() + ((out.n * s.h + rows.begin) * s.w + columns.begin) * s.c;
      T* to = y.as<T>() + out.index * s.c;
      over_lanes(0, s.c, [&](int64_t c, auto lanes) {
        Vec v = load(first + c, lanes);
        for (int64_t h = 0; h < rows.count(); ++h)
          for (int64_t w = h == 0; w < columns.count(); ++w) v = combine(v, load(first + (h * s.w + w) * s.c + c, lanes));
        store(to + c, finish(v, rows.count() * columns.count()), lanes);
      });
    });
  });
}

// Where in the window of output (p, q) the input (h, w) lies, row by row.
int64_t place_of(const PoolShape& s, int64_t p, int64_t q, int64_t h, int64_t w) {
  return (h - p * s.stride + s.pad) * s.window + w - q * s.stride + s.pad;
}

float* sums_of(Exec& e, const PoolShape& s) { return static_cast<float*>(e.scratch(int64_t(sizeof(float)) * e.threads() * s.c)); }

}  // namespace

// y = max of the window; padding is −∞. For backward also where it is found first, carried along in a register beside it.
void CpuBackend::do_max_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y, Buffer argmax, Act x_act) {
  if (!argmax)
    return pool_forward(
        e, s, x, y, [](Vec most, Vec v) { return (v > most) | (v != v) ? v : most; }, [](Vec most, int64_t) { return most; });
  with_type(x.dtype, [&]<class T>(T) {
    with_act(x_act, [&]<class A>(A) {
      for_pixels(e, s, s.p(), s.q(), nullptr, [&](const Pixel& out) {
        const Range rows = inside(s, out.h, s.h), columns = inside(s, out.w, s.w);
        const T* first = x.as<const T>() + ((out.n * s.h + rows.begin) * s.w + columns.begin) * s.c;
        const int64_t first_place = place_of(s, out.h, out.w, rows.begin, columns.begin);
        T* to = y.as<T>() + out.index * s.c;
        uint8_t* places = argmax.as<uint8_t>() + out.index * s.c;
        over_lanes(0, s.c, [&](int64_t c, auto lanes) {
          Vec most = load(first + c, lanes), place = Vec{} + float(first_place);
          for (int64_t h = 0; h < rows.count(); ++h)
            for (int64_t w = h == 0; w < columns.count(); ++w) {
              const Vec v = load(first + (h * s.w + w) * s.c + c, lanes);
              const auto more = (v > most) | ((v != v) & (most == most));
              most = more ? v : most;
              place = more ? Vec{} + float(first_place + h * s.window + w) : place;
            }
          store(to + c, most, lanes);
          if constexpr (!std::is_same_v<A, Linear>) place = A::passes(most) ? place : Vec{} + float(kFlat);
          for (int64_t i = 0; i < lanes; ++i) places[c + i] = uint8_t(place[i]);
        });
      });
    });
  });
}

// y = mean of the window; padding is left out of it.
void CpuBackend::do_avg_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y) {
  pool_forward(
      e, s, x, y, [](Vec sum, Vec v) { return sum + v; }, [](Vec sum, int64_t count) { return sum / float(count); });
}

// Every input gathers from the windows that cover it. No two threads write one value, and a sum over overlapping windows is rounded once.
void CpuBackend::do_max_pool_backward(Exec& e, const PoolShape& s, Buffer argmax, Buffer dy, Into dx) {
  const int64_t p_count = s.p(), q_count = s.q();
  with_type(dy.dtype, [&]<class T>(T) {
    with_flag(dx.how == Accumulate::yes, [&]<class Add>(Add) {
      for_pixels(e, s, s.h, s.w, sums_of(e, s), [&](const Pixel& in) {
        const Range ps = covering(s, in.h, p_count), qs = covering(s, in.w, q_count);
        float* sum = in.sum;
        std::fill_n(sum, s.c, 0.f);
        for (int64_t p = ps.begin; p < ps.end; ++p)
          for (int64_t q = qs.begin; q < qs.end; ++q) {
            const int64_t at = ((in.n * p_count + p) * q_count + q) * s.c;
            const auto here = uint8_t(place_of(s, p, q, in.h, in.w));
            const uint8_t* places = argmax.as<const uint8_t>() + at;
            const T* from = dy.as<const T>() + at;
#pragma omp simd
            for (int64_t c = 0; c < s.c; ++c) {
              const float d = float(from[c]);
              sum[c] += places[c] == here ? d : 0.f;
            }
          }
        T* to = dx.buffer.as<T>() + in.index * s.c;
#pragma omp simd
        for (int64_t c = 0; c < s.c; ++c) put<Add::value>(to[c], sum[c]);
      });
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
