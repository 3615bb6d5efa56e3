#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

// partial[walker, c] = Σ dy[row, c] over the rows of that walker; add_partials() makes db of it
// Layout : dy is rows × c of T, partial is [walkers, c] in float32.
// Thread : V neighbouring channels of every row of its walker; the threads of a column are added in shared memory.
// Memory : reads one value per element of dy: bound by the memory's bandwidth.
// Exact  : each thread adds in the order of its rows, threads as a tree: the same bits in every run and on every card.
template <int V, class T>
__global__ void column_sums_kernel(RowShape s, const T* dy, float* partial) {
  PTRAIN_SHARED(float, shared, [V * kRowBlock]);
  const int64_t c = first_channel<V>();
  Floats<V> sum = {};
  if (c < s.c)
    for (int64_t row = first_row(); row < s.rows; row += row_step()) {
      const Floats<V> d = load<V>(dy, row * s.c + c);
      for (int k = 0; k < V; ++k) sum.v[k] += d.v[k];
    }
  add_over_rows(sum, shared);
  if (threadIdx.y == 0 && c < s.c) store<V>(partial, blockIdx.y * s.c + c, sum);
}

}  // namespace

void bias_backward(RowShape s, Buffer dy, Into db, Exec& exec, cudaStream_t stream) {
  if (s.c == 0) return;
  visit_device(dy.dtype, [&]<class T>(T) {
    with_width<kPerChannel>({dy.data}, s.c % kPerChannel == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = sum_rows(s.rows, s.c, V);
      auto* partial = static_cast<float*>(exec.scratch(t.grid.y * s.c * int64_t(sizeof(float))));
      launch(column_sums_kernel<V, T>, t.grid, t.block, 0, stream, s, dy.as<T>(), partial);
      add_partials(t.grid.y, s.c, partial, 1.f, db.buffer, db.how, stream);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
