// Pooling. A window of y[n,p,q,c] covers rows p·stride − pad … + window − 1 of x, and columns alike; only what lies inside x counts.
//   max      y = max x over the window ; dx = Σ dy over the windows whose first maximum (row by row, argmax) it is
//   average  y = mean x over the window ; dx = Σ dy / count over the windows that hold it
//   global   y[n,c] = mean over all rows of image n ; dx = dy / rows
#include <vector>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

// The part of a window that lies inside the image.
struct Window {
  int64_t top, bottom, left, right;  // rows [top, bottom), columns [left, right)
  int64_t first_row, first_column;   // of the whole window, which may lie outside
  int64_t count() const { return (bottom - top) * (right - left); }
};

Window window_at(const PoolShape& s, int64_t p, int64_t q) {
  const int64_t h = p * s.stride - s.pad, w = q * s.stride - s.pad;
  return {std::max<int64_t>(h, 0), std::min(h + s.window, s.h), std::max<int64_t>(w, 0), std::min(w + s.window, s.w), h, w};
}

// The place (h · width + w) of the first maximum of channel c of one image. A NaN is larger than everything.
template <class T>
int64_t first_maximum(const PoolShape& s, const Window& window, const T* image, int64_t c) {
  int64_t best = window.top * s.w + window.left;
  for (int64_t h = window.top; h < window.bottom; ++h)
    for (int64_t w = window.left; w < window.right; ++w) {
      const double v = double(image[(h * s.w + w) * s.c + c]), most = double(image[best * s.c + c]);
      if (v > most || (v != v && most == most)) best = h * s.w + w;
    }
  return best;
}

// y[i] = f(image n, window, i), where i = [n,p,q,c]
template <class T, class F>
void forward(Exec& e, const PoolShape& s, const T* x, T* y, F&& f) {
  parallel_for(e, s.n * s.p(), [&](int64_t row) {
    const T* image = x + row / s.p() * s.h * s.w * s.c;
    for (int64_t q = 0; q < s.q(); ++q) {
      const Window window = window_at(s, row % s.p(), q);
      for (int64_t c = 0; c < s.c; ++c) {
        const int64_t i = (row * s.q() + q) * s.c + c;
        y[i] = narrow<T>(f(image, window, i));
      }
    }
  });
}

// Each task owns one channel of one image of dx: spread(sum, window, i, dy[i]) adds the share of every window to the sums of that channel.
template <class T, class F>
void backward(Exec& e, const PoolShape& s, const T* dy, Into dx, F&& spread) {
  parallel_for(e, s.n * s.c, [&](int64_t task) {
    const int64_t n = task / s.c, c = task % s.c;
    std::vector<double> sum(size_t(s.h * s.w));
    for (int64_t p = 0; p < s.p(); ++p)
      for (int64_t q = 0; q < s.q(); ++q) {
        const int64_t i = ((n * s.p() + p) * s.q() + q) * s.c + c;
        spread(sum.data(), window_at(s, p, q), i, double(dy[i]));
      }
    for (int64_t i = 0; i < s.h * s.w; ++i) put(dx.buffer.as<T>(), (n * s.h * s.w + i) * s.c + c, sum[size_t(i)], dx.how);
  });
}

}  // namespace

void ReferenceBackend::do_max_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y, Buffer argmax, Act x_act) {
  visit_floating(x.dtype, [&]<class T>(T) {
    forward(e, s, x.as<const T>(), y.as<T>(), [&](const T* image, const Window& window, int64_t i) {
      const int64_t c = i % s.c, best = first_maximum(s, window, image, c);
      const double most = double(image[best * s.c + c]);
      if (argmax) {
        const int64_t r = best / s.w - window.first_row, t = best % s.w - window.first_column;
        argmax.as<uint8_t>()[i] = before(x_act, most, 1) != 0 ? uint8_t(r * s.window + t) : kFlat;
      }
      return most;
    });
  });
}

void ReferenceBackend::do_max_pool_backward(Exec& e, const PoolShape& s, Buffer argmax, Buffer dy, Into dx) {
  visit_floating(dy.dtype, [&]<class T>(T) {
    backward(e, s, dy.as<const T>(), dx, [&](double* sum, const Window& window, int64_t i, double d) {
      const int64_t place = argmax.as<const uint8_t>()[i];
      if (place != kFlat) sum[(window.first_row + place / s.window) * s.w + window.first_column + place % s.window] += d;
    });
  });
}

void ReferenceBackend::do_avg_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    forward(e, s, x.as<const T>(), y.as<T>(), [&](const T* image, const Window& window, int64_t i) {
      const int64_t c = i % s.c;
      double sum = 0;
      for (int64_t h = window.top; h < window.bottom; ++h)
        for (int64_t w = window.left; w < window.right; ++w) sum += double(image[(h * s.w + w) * s.c + c]);
      return sum / double(window.count());
    });
  });
}

void ReferenceBackend::do_avg_pool_backward(Exec& e, const PoolShape& s, Buffer dy, Into dx) {
  visit_floating(dy.dtype, [&]<class T>(T) {
    backward(e, s, dy.as<const T>(), dx, [&](double* sum, const Window& window, int64_t, double d) {
      for (int64_t h = window.top; h < window.bottom; ++h)
        for (int64_t w = window.left; w < window.right; ++w) sum[h * s.w + w] += d / double(window.count());
    });
  });
}

void ReferenceBackend::do_global_avg_pool_forward(Exec& e, int64_t n, RowShape image, Buffer x, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    parallel_for(e, n, [&](int64_t i) {
      std::vector<double> sum(size_t(image.c));
      for (int64_t row = 0; row < image.rows; ++row)
        for (int64_t c = 0; c < image.c; ++c) sum[size_t(c)] += double(x.as<const T>()[(i * image.rows + row) * image.c + c]);
      for (int64_t c = 0; c < image.c; ++c) y.as<T>()[i * image.c + c] = narrow<T>(sum[size_t(c)] / double(image.rows));
    });
  });
}

void ReferenceBackend::do_global_avg_pool_backward(Exec& e, int64_t n, RowShape image, Buffer dy, Into dx) {
  visit_floating(dy.dtype, [&]<class T>(T) {
    for_each(e, n * image.size(), [&](int64_t i) {
      const int64_t from = i / image.size() * image.c + i % image.c;
      put(dx.buffer.as<T>(), i, double(dy.as<const T>()[from]) / double(image.rows), dx.how);
    });
  });
}

}  // namespace ptrain::reference
