#include "tests/checked/faulty.hpp"

#include "kernels/cuda/launch.cuh"

namespace ptrain::test {
namespace {

__global__ void racing_kernel(float* y) {
  PTRAIN_SHARED(float, tile, [64]);
  tile[threadIdx.x] = 1.f;
  y[threadIdx.x] = tile[63 - threadIdx.x];  // no barrier
}
__global__ void two_blocks_kernel(float* y) { y[threadIdx.x] = float(blockIdx.x); }
__global__ void column_kernel(float* y) {
  PTRAIN_SHARED(float, tile, [32][32]);
  tile[threadIdx.x][threadIdx.y] = 1.f;           // 32 lanes, one bank
  y[(threadIdx.y * 32 + threadIdx.x) * 8] = 1.f;  // 32 lanes, 32 sectors
}

}  // namespace

void launch_racing(float* y, cudaStream_t stream) { cuda::launch(racing_kernel, 1, 64, 0, stream, y); }
void launch_two_blocks(float* y, cudaStream_t stream) { cuda::launch(two_blocks_kernel, 2, 32, 0, stream, y); }
void launch_column(float* y, cudaStream_t stream) { cuda::launch(column_kernel, 1, dim3(32, 32), 0, stream, y); }

}  // namespace ptrain::test
