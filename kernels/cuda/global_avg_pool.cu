#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

// y[n,c] = mean of x over the rows of image n
// Layout : x is n · rows × c of T, y is n × c.
// Thread : V neighbouring channels of every blockDim.y-th row of an image; the threads of a column are added in shared memory.
// Memory : reads `rows` values per output: bound by the memory's bandwidth.
// Exact  : each thread adds in the order of its rows, threads as a tree: the same bits in every run.
template <int V, class T>
__global__ void global_avg_pool_forward_kernel(int64_t n, RowShape image, const T* x, T* y) {
  PTRAIN_SHARED(float, shared, [V * kRowBlock]);
  const int64_t c = first_channel<V>();
  for (int64_t i = blockIdx.y; i < n; i += gridDim.y) {
    Floats<V> sum = {};
    if (c < image.c)
      for (int64_t row = threadIdx.y; row < image.rows; row += blockDim.y) {
        const Floats<V> f = load<V>(x, (i * image.rows + row) * image.c + c);
        for (int k = 0; k < V; ++k) sum.v[k] += f.v[k];
      }
    add_over_rows(sum, shared);
    if (threadIdx.y == 0 && c < image.c) {
      for (int k = 0; k < V; ++k) sum.v[k] /= float(image.rows);
      store<V>(y, i * image.c + c, sum);
    }
    __syncthreads();  // before the next image overwrites what is added up here
  }
}

// dx[n,row,c] = dy[n,c] / rows
// Layout : dx is n · rows × c of T, dy is n × c.
// Thread : V neighbouring channels of every row of its walker; neighbouring threads take neighbouring vectors.
// Memory : writes one value per output; dy stays in caches: bound by the memory's bandwidth.
// Exact  : one division in float32, rounded once to the type.
template <int V, class T>
__global__ void global_avg_pool_backward_kernel(int64_t n, RowShape image, const T* dy, T* dx, Accumulate how) {
  const int64_t c = first_channel<V>();
  if (c >= image.c) return;
  for (int64_t row = first_row(); row < n * image.rows; row += row_step()) {
    Floats<V> d = load<V>(dy, row / image.rows * image.c + c);
    for (int k = 0; k < V; ++k) d.v[k] /= float(image.rows);
    put<V>(dx, row * image.c + c, d, how);
  }
}

}  // namespace

void global_avg_pool_forward(int64_t n, RowShape image, Buffer x, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  constexpr int64_t kMostInY = 65535;  // blocks
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({x.data, y.data}, image.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = tile_rows(image.rows, image.c, V, 1);
      launch(global_avg_pool_forward_kernel<V, T>, dim3(t.grid.x, unsigned(std::min(n, kMostInY))), t.block, 0, stream, n, image, x.as<T>(),
             y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

void global_avg_pool_backward(int64_t n, RowShape image, Buffer dy, Into dx, cudaStream_t stream) {
  if (dx.buffer.size == 0) return;
  visit_device(dy.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({dy.data, dx.buffer.data}, image.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(n * image.rows, image.c, V);
      launch(global_avg_pool_backward_kernel<V, T>, t.grid, t.block, 0, stream, n, image, dy.as<T>(), dx.buffer.as<T>(), dx.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
