#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/norm_finish.cuh"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 64;  // small, so that a few hundred channels are more than one block

// mean = Σ x / rows, variance = Σ x² / rows − mean²
// Layout : x is rows × c in float32.
// Thread : one channel, all rows. A warp's loads lie side by side, but a net's 64 to 2,048 channels are few threads for a GPU that wants
//          tens of thousands: it waits for memory most of the time.
// Memory : reads one value per element.
// Exact  : the same bits in every run, but a difference of two large sums: where the mean is far from 0 the variance loses its digits.
__global__ void norm_1_kernel(int64_t rows, int64_t channels, const float* x, NormFinish finish) {
  const int64_t c = thread_index();
  if (c >= channels) return;
  float sum = 0.f, squares = 0.f;
  for (int64_t row = 0; row < rows; ++row) {
    const float v = x[row * channels + c];
    sum += v;
    squares = fmaf(v, v, squares);
  }
  const float mean = sum / float(rows);
  finish(c, mean, fmaxf(squares / float(rows) - mean * mean, 0.f));
}

}  // namespace

void norm_1(const NormShape& s, const NormTrain& t, Exec&, cudaStream_t stream) {
  if (s.size() == 0) return;
  launch(norm_1_kernel, blocks_for(s.c, kBlock), kBlock, 0, stream, s.rows, s.c, t.x.as<float>(), NormFinish(s, t));
  apply_norm(s, t, stream);
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
