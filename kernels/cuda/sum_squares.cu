#include <algorithm>

#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;           // eight warps
constexpr int64_t kMostParts = 1024;  // blocks, enough for every card; more would only make more partial sums

// partial[block] = Σ x² over every gridDim-th stretch of x; add_partials() makes the sum of it
// Layout : x is flat, partial is [blocks] in float32.
// Thread : V neighbouring values of each stretch; neighbouring threads take neighbouring vectors.
// Memory : reads one value per element: bound by the memory's bandwidth.
// Exact  : each thread adds in order, warps and blocks as trees; the number of blocks depends on the size alone.
template <int V, class T>
__global__ void sum_squares_kernel(int64_t size, const T* x, float* partial) {
  PTRAIN_SHARED(float, shared, [32]);
  Floats<V> sum = {};
  for (int64_t i = thread_index() * V; i < size; i += int64_t(gridDim.x) * kBlock * V) {
    const Floats<V> f = load<V>(x, i, size);
    for (int k = 0; k < V; ++k) sum.v[k] = fmaf(f.v[k], f.v[k], sum.v[k]);
  }
  float total = 0.f;
  for (int k = 0; k < V; ++k) total += sum.v[k];
  total = block_sum<kBlock>(total, shared);
  if (threadIdx.x == 0) partial[blockIdx.x] = total;
}

}  // namespace

void sum_squares(double factor, Buffer x, Into sum, Exec& exec, cudaStream_t stream) {
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({x.data}, [&]<int V>(std::integral_constant<int, V>) {
      const int64_t parts =
          std::clamp<int64_t>(div_up(x.size, kBlock * V * 4), 1, kMostParts);  // four vectors a thread make it worth its end
      auto* partial = static_cast<float*>(exec.scratch(parts * int64_t(sizeof(float))));
      launch(sum_squares_kernel<V, T>, unsigned(parts), kBlock, 0, stream, x.size, x.as<T>(), partial);
      add_partials(parts, 1, partial, float(factor), sum.buffer, sum.how, stream);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
