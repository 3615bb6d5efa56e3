#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/pool.cuh"

namespace ptrain::cuda {
namespace {

// y[n,p,q,c] = max of x over the window; argmax[n,p,q,c] = its place in the window, row by row, kFlat where x_act is flat there.
// Padding counts as −∞, a NaN is larger than everything.
// Layout : NHWC; a row of pixels of y is one row of q · c values; argmax is uint8, and may be missing.
// Thread : V neighbouring channels of one pixel in every row of its walker; neighbouring threads take neighbouring vectors.
// Memory : reads window² values per output, of which caches hold all but stride², and writes one and a byte: bound by bandwidth.
// Exact  : yes: the first of equal values.
template <int V, class T>
__global__ void max_pool_forward_kernel(PoolShape s, int64_t height, int64_t width, Act x_act, const T* x, T* y, uint8_t* argmax) {
  const Place at = place_in_row<V>(s.c);
  if (at.column >= width) return;
  const Span columns = window_of(at.column, s.w, s);
  const int64_t left = at.column * s.stride - s.pad;
  for (int64_t row = first_row(); row < s.n * height; row += row_step()) {
    const int64_t n = row / height, top = (row - n * height) * s.stride - s.pad;
    const Span rows = window_of(row - n * height, s.h, s);
    Floats<V> most = load<V>(x, ((n * s.h + rows.begin) * s.w + columns.begin) * s.c + at.c);
    Vec<uint8_t, V> place;
    for (int k = 0; k < V; ++k) place.v[k] = uint8_t((rows.begin - top) * s.window + columns.begin - left);
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const Floats<V> f = load<V>(x, ((n * s.h + h) * s.w + w) * s.c + at.c);
        const auto here = uint8_t((h - top) * s.window + w - left);
        for (int k = 0; k < V; ++k) {
          const bool more = f.v[k] > most.v[k] || (f.v[k] != f.v[k] && most.v[k] == most.v[k]);
          most.v[k] = more ? f.v[k] : most.v[k];
          place.v[k] = more ? here : place.v[k];
        }
      }
    const int64_t i = (row * width + at.column) * s.c + at.c;
    store<V>(y, i, most);
    if (!argmax) continue;
    for (int k = 0; k < V; ++k) place.v[k] = before(x_act, most.v[k], 1.f) != 0.f ? place.v[k] : kFlat;
    store_bits<V>(argmax + i, place);
  }
}

// dx[n,h,w,c] = Σ dy over the windows whose argmax is (h,w)
// Layout : NHWC; a row of pixels of dx is one row of w · c values.
// Thread : V neighbouring channels of one pixel in every row of its walker. It looks at the windows over its pixel; no atomics are needed.
// Memory : reads a byte and dy of each window over a pixel, mostly from caches; writes one value: bound by the memory's bandwidth.
// Exact  : adds windows row by row in float32: the same bits in every run.
template <int V, class T>
__global__ void max_pool_backward_kernel(PoolShape s, int64_t height, int64_t width, const uint8_t* argmax, const T* dy, T* dx,
                                         Accumulate how) {
  const Place at = place_in_row<V>(s.c);
  if (at.column >= s.w) return;
  const Span across = windows_over(at.column, width, s);
  for (int64_t row = first_row(); row < s.n * s.h; row += row_step()) {
    const int64_t n = row / s.h, h = row - n * s.h;
    const Span down = windows_over(h, height, s);
    Floats<V> sum = {};
    for (int64_t p = down.begin; p < down.end; ++p)
      for (int64_t q = across.begin; q < across.end; ++q) {
        const int64_t i = ((n * height + p) * width + q) * s.c + at.c;
        const auto here = uint8_t((h - p * s.stride + s.pad) * s.window + at.column - q * s.stride + s.pad);
        const Vec<uint8_t, V> place = load_bits<V>(argmax + i);
        const Floats<V> d = load<V>(dy, i);
        for (int k = 0; k < V; ++k) sum.v[k] += place.v[k] == here ? d.v[k] : 0.f;
      }
    put<V>(dx, (row * s.w + at.column) * s.c + at.c, sum, how);
  }
}

}  // namespace

void max_pool_forward(const PoolShape& s, Buffer x, Buffer y, Buffer argmax, Act x_act, cudaStream_t stream) {
  if (y.size == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({x.data, y.data, argmax.data}, s.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.n * s.p(), s.q() * s.c, V);
      launch(max_pool_forward_kernel<V, T>, t.grid, t.block, 0, stream, s, s.p(), s.q(), x_act, x.as<T>(), y.as<T>(),
             argmax ? argmax.as<uint8_t>() : nullptr);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

void max_pool_backward(const PoolShape& s, Buffer argmax, Buffer dy, Into dx, cudaStream_t stream) {
  if (dx.buffer.size == 0) return;
  visit_device(dy.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({argmax.data, dy.data, dx.buffer.data}, s.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.n * s.h, s.w * s.c, V);
      launch(max_pool_backward_kernel<V, T>, t.grid, t.block, 0, stream, s, s.p(), s.q(), argmax.as<uint8_t>(), dy.as<T>(),
             dx.buffer.as<T>(), dx.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
