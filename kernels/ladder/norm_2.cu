#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/norm_finish.cuh"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps

// mean = Σ x / rows, variance = Σ (x − mean)² / rows
// Layout : x is rows × c in float32.
// Thread : a block a channel, each thread every 256th row: enough threads now, but those of a warp read 32 rows, c values apart, so each
//          load is a sector of its own.
// Memory : reads every value twice, and 32 bytes for each.
// Exact  : two passes: no difference of large sums. Threads add in order, the block as a tree: the same bits in every run.
__global__ void norm_2_kernel(int64_t rows, int64_t channels, const float* x, NormFinish finish) {
  PTRAIN_SHARED(float, shared, [32]);
  PTRAIN_SHARED(float, mean, );
  const int64_t c = blockIdx.x;
  float sum = 0.f;
  for (int64_t row = threadIdx.x; row < rows; row += kBlock) sum += x[row * channels + c];
  sum = block_sum<kBlock>(sum, shared);
  if (threadIdx.x == 0) mean = sum / float(rows);
  __syncthreads();
  float squares = 0.f;
  for (int64_t row = threadIdx.x; row < rows; row += kBlock) {
    const float d = x[row * channels + c] - mean;
    squares = fmaf(d, d, squares);
  }
  squares = block_sum<kBlock>(squares, shared);
  if (threadIdx.x == 0) finish(c, mean, squares / float(rows));
}

}  // namespace

void norm_2(const NormShape& s, const NormTrain& t, Exec&, cudaStream_t stream) {
  if (s.size() == 0) return;
  launch(norm_2_kernel, blocks_for(s.c, 1), kBlock, 0, stream, s.rows, s.c, t.x.as<float>(), NormFinish(s, t));
  apply_norm(s, t, stream);
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
