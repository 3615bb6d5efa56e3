#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/pool.cuh"

namespace ptrain::cuda {
namespace {

// y[n,p,q,c] = mean of x over the part of the window that lies inside the image
// Layout : NHWC; a row of pixels of y is one row of q · c values.
// Thread : V neighbouring channels of one pixel in every row of its walker; neighbouring threads take neighbouring vectors.
// Memory : reads window² values per output, of which caches hold all but stride², and writes one: bound by the memory's bandwidth.
// Exact  : adds row by row in float32, one division, rounded once to the type.
template <int V, class T>
__global__ void avg_pool_forward_kernel(PoolShape s, int64_t height, int64_t width, const T* x, T* y) {
  const Place at = place_in_row<V>(s.c);
  if (at.column >= width) return;
  const Span columns = window_of(at.column, s.w, s);
  for (int64_t row = first_row(); row < s.n * height; row += row_step()) {
    const int64_t n = row / height;
    const Span rows = window_of(row - n * height, s.h, s);
    Floats<V> sum = {};
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const Floats<V> f = load<V>(x, ((n * s.h + h) * s.w + w) * s.c + at.c);
        for (int k = 0; k < V; ++k) sum.v[k] += f.v[k];
      }
    const auto count = float((rows.end - rows.begin) * (columns.end - columns.begin));
    for (int k = 0; k < V; ++k) sum.v[k] /= count;
    store<V>(y, (row * width + at.column) * s.c + at.c, sum);
  }
}

// dx[n,h,w,c] = Σ dy / count over the windows that hold (h,w)
// Layout : NHWC; a row of pixels of dx is one row of w · c values.
// Thread : V neighbouring channels of one pixel in every row of its walker; no two threads add to one place, so no atomics are needed.
// Memory : reads dy of each window over a pixel, mostly from caches; writes one value: bound by the memory's bandwidth.
// Exact  : adds windows row by row in float32: the same bits in every run.
template <int V, class T>
__global__ void avg_pool_backward_kernel(PoolShape s, int64_t height, int64_t width, const T* dy, T* dx, Accumulate how) {
  const Place at = place_in_row<V>(s.c);
  if (at.column >= s.w) return;
  const Span across = windows_over(at.column, width, s);
  for (int64_t row = first_row(); row < s.n * s.h; row += row_step()) {
    const int64_t n = row / s.h, h = row - n * s.h;
    const Span down = windows_over(h, height, s);
    Floats<V> sum = {};
    for (int64_t p = down.begin; p < down.end; ++p)
      for (int64_t q = across.begin; q < across.end; ++q) {
        const Span rows = window_of(p, s.h, s), columns = window_of(q, s.w, s);
        const auto count = float((rows.end - rows.begin) * (columns.end - columns.begin));
        const Floats<V> d = load<V>(dy, ((n * height + p) * width + q) * s.c + at.c);
        for (int k = 0; k < V; ++k) sum.v[k] += d.v[k] / count;
      }
    put<V>(dx, (row * s.w + at.column) * s.c + at.c, sum, how);
  }
}

}  // namespace

void avg_pool_forward(const PoolShape& s, Buffer x, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({x.data, y.data}, s.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.n * s.p(), s.q() * s.c, V);
      launch(avg_pool_forward_kernel<V, T>, t.grid, t.block, 0, stream, s, s.p(), s.q(), x.as<T>(), y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

void avg_pool_backward(const PoolShape& s, Buffer dy, Into dx, cudaStream_t stream) {
  if (s.x_size() == 0) return;
  visit_device(dy.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({dy.data, dx.buffer.data}, s.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.n * s.h, s.w * s.c, V);
      launch(avg_pool_backward_kernel<V, T>, t.grid, t.block, 0, stream, s, s.p(), s.q(), dy.as<T>(), dx.buffer.as<T>(), dx.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
