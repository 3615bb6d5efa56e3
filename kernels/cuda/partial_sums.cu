#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

constexpr unsigned kColumns = 32, kWalkers = 8;  // a warp reads 128 bytes in one go; eight warps share the parts

// to[j] = factor · Σ_i partial[i, j]
// Layout : partial is [parts, count] in float32, to is [count].
// Thread : one column and every eighth part of it; neighbouring threads take neighbouring columns, so loads coalesce.
// Memory : reads `parts` values per output: a few kilobytes that the first pass has left in L2.
// Exact  : each walker adds in order, the eight sums are added as a tree: the same bits in every run.
template <class T>
__global__ void add_partials_kernel(int64_t parts, int64_t count, const float* partial, float factor, T* to, Accumulate how) {
  PTRAIN_SHARED(float, sums, [kWalkers][kColumns]);
  const int64_t j = int64_t(blockIdx.x) * kColumns + threadIdx.x;
  float sum = 0.f;
  if (j < count)
    for (int64_t i = threadIdx.y; i < parts; i += kWalkers) sum += partial[i * count + j];
  sums[threadIdx.y][threadIdx.x] = sum;
  for (unsigned half = kWalkers / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + half][threadIdx.x];
  }
  if (threadIdx.y == 0 && j < count) put<1>(to, j, Floats<1>{{factor * sums[0][threadIdx.x]}}, how);
}

}  // namespace

void add_partials(int64_t parts, int64_t count, const float* partial, float factor, Buffer to, Accumulate how, cudaStream_t stream) {
  if (count == 0) return;
  visit_device(to.dtype, [&]<class T>(T) {
    launch(add_partials_kernel<T>, blocks_for(count, kColumns), dim3(kColumns, kWalkers), 0, stream, parts, count, partial, factor,
           to.as<T>(), how);
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
