#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/norm_finish.cuh"

namespace ptrain::cuda::ladder {
namespace {

constexpr unsigned kColumns = 32, kRows = 8;  // of a block
constexpr int64_t kMostParts = 64;            // blocks that share the rows

// sums[c] += Σ (x − mean)^power over the rows of this block; mean 0 for power 1
// Layout : x is rows × c, sums and mean [c], float32.
// Thread : 32 channels × 8 rows a block, and the rows shared out over up to 64 blocks: a warp's loads lie side by side and there are
//          threads enough. The eight rows are added in shared memory, the blocks by atomics.
// Memory : reads every value twice, once for each power.
// Exact  : two passes. Atomics add in the order in which blocks finish: the last bits differ from run to run.
template <int kPower>
__global__ void norm_3_kernel(int64_t rows, int64_t channels, const float* x, const float* mean, float* sums) {
  PTRAIN_SHARED(float, shared, [kRows][kColumns]);
  const int64_t c = int64_t(blockIdx.x) * kColumns + threadIdx.x;
  float sum = 0.f;
  if (c < channels)
    for (int64_t row = int64_t(blockIdx.y) * kRows + threadIdx.y; row < rows; row += int64_t(gridDim.y) * kRows) {
      const float d = x[row * channels + c] - (kPower == 1 ? 0.f : mean[c] / float(rows));
      sum += kPower == 1 ? d : d * d;
    }
  shared[threadIdx.y][threadIdx.x] = sum;
  __syncthreads();
  if (threadIdx.y != 0 || c >= channels) return;
  for (unsigned r = 1; r < kRows; ++r) sum += shared[r][threadIdx.x];
  atomicAdd(sums + c, sum);
}

__global__ void norm_3_finish_kernel(int64_t rows, int64_t channels, const float* sums, const float* squares, NormFinish finish) {
  const int64_t c = thread_index();
  if (c < channels) finish(c, sums[c] / float(rows), squares[c] / float(rows));
}

}  // namespace

void norm_3(const NormShape& s, const NormTrain& t, Exec& exec, cudaStream_t stream) {
  if (s.size() == 0) return;
  auto* sums = static_cast<float*>(exec.scratch(2 * s.c * int64_t(sizeof(float))));
  fill(0, {sums, DType::float32, 2 * s.c}, stream);
  const dim3 grid(blocks_for(s.c, int(kColumns)), unsigned(std::min(kMostParts, div_up(s.rows, int64_t(kRows))))), block(kColumns, kRows);
  launch(norm_3_kernel<1>, grid, block, 0, stream, s.rows, s.c, t.x.as<float>(), sums, sums);
  launch(norm_3_kernel<2>, grid, block, 0, stream, s.rows, s.c, t.x.as<float>(), sums, sums + s.c);
  launch(norm_3_finish_kernel, blocks_for(s.c, 256), 256, 0, stream, s.rows, s.c, sums, sums + s.c, NormFinish(s, t));
  apply_norm(s, t, stream);
  GPU_CHECK(cudaGetLastError());
}

// Step 4 is kernels/cuda/norm_train.cu.
void norm_4(const NormShape& s, const NormTrain& t, Exec& exec, cudaStream_t stream) { norm_train_forward(s, t, exec, stream); }

}  // namespace ptrain::cuda::ladder
