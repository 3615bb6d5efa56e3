#include "kernels/cuda/softmax.cuh"

#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

// p[i,k] = exp z[i,k] / Σ_j exp z[i,j]
// Layout : logits are rows × classes of T, p is the same in float32.
// Thread : a warp a row, its lanes side by side along the classes.
// Memory : reads each logit three times (twice from L1) and writes one value per output.
// Exact  : float32 inside; the sum is a tree over the lanes: the same bits in every run.
template <class T>
__global__ void softmax_kernel(SoftmaxShape s, const T* logits, float* p) {
  const int64_t row = int64_t(blockIdx.x) * kSoftmaxWarps + threadIdx.x / 32;
  if (row >= s.rows) return;  // the whole warp
  const SoftmaxRow<T> r(logits + row * s.classes, s.classes);
  for (int64_t k = threadIdx.x % 32; k < s.classes; k += 32) p[row * s.classes + k] = r.p(k);
}

}  // namespace

void softmax(SoftmaxShape s, Buffer logits, Buffer p, cudaStream_t stream) {
  if (s.rows == 0 || s.classes == 0) return;
  visit_device(logits.dtype, [&]<class T>(T) {
    launch(softmax_kernel<T>, blocks_for(s.rows, kSoftmaxWarps), kSoftmaxWarps * 32, 0, stream, s, logits.as<T>(), p.as<float>());
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
