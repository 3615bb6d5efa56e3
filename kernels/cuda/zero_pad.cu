#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

// y[n, h + top, w + left, c] = x[n,h,w,c], zero elsewhere
// Layout : NHWC; a row of pixels is one row of (left + w + right) · c values.
// Thread : V neighbouring values of every row of its walker; neighbouring threads take neighbouring vectors.
// Memory : reads and writes one value per output: bound by the memory's bandwidth.
// Exact  : yes: values only move.
template <int V, class T>
__global__ void zero_pad_forward_kernel(PadShape s, const T* x, T* y) {
  const int64_t height = s.h + s.top + s.bottom, width = (s.w + s.left + s.right) * s.c, i = first_channel<V>(), j = i - s.left * s.c;
  if (i >= width) return;
  for (int64_t row = first_row(); row < s.n * height; row += row_step()) {
    const int64_t n = row / height, h = row - n * height - s.top;
    Vec<T, V> value;
    if (h >= 0 && h < s.h && j >= 0 && j < s.w * s.c) value = load_bits<V>(x + (n * s.h + h) * s.w * s.c + j);
    else
      for (int k = 0; k < V; ++k) value.v[k] = from_float<T>(0.f);
    store_bits<V>(y + row * width + i, value);
  }
}

// dx[n,h,w,c] = dy[n, h + top, w + left, c]
// Layout : NHWC; a row of pixels of dx is one row of w · c values.
// Thread : V neighbouring values of every row of its walker; neighbouring threads take neighbouring vectors.
// Memory : reads and writes one value per output: bound by the memory's bandwidth.
// Exact  : values only move; accumulation rounds once.
template <int V, class T>
__global__ void zero_pad_backward_kernel(PadShape s, const T* dy, T* dx, Accumulate how) {
  const int64_t height = s.h + s.top + s.bottom, width = (s.w + s.left + s.right) * s.c, i = first_channel<V>();
  if (i >= s.w * s.c) return;
  for (int64_t row = first_row(); row < s.n * s.h; row += row_step()) {
    const int64_t n = row / s.h, h = row - n * s.h;
    put<V>(dx, row * s.w * s.c + i, load<V>(dy, (n * height + h + s.top) * width + s.left * s.c + i), how);
  }
}

}  // namespace

void zero_pad_forward(const PadShape& s, Buffer x, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({x.data, y.data}, s.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.n * (s.h + s.top + s.bottom), (s.w + s.left + s.right) * s.c, V);
      launch(zero_pad_forward_kernel<V, T>, t.grid, t.block, 0, stream, s, x.as<T>(), y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

void zero_pad_backward(const PadShape& s, Buffer dy, Into dx, cudaStream_t stream) {
  if (s.x_size() == 0) return;
  visit_device(dy.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({dy.data, dx.buffer.data}, s.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.n * s.h, s.w * s.c, V);
      launch(zero_pad_backward_kernel<V, T>, t.grid, t.block, 0, stream, s, dy.as<T>(), dx.buffer.as<T>(), dx.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
