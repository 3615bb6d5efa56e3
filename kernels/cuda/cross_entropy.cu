#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/softmax.cuh"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps

// losses[i] = −class_weights[label] · log p[i, label], and p = softmax of the logits
// Layout : logits are rows × classes of T; labels int32, the rest float32.
// Thread : a warp a row, its lanes side by side along the classes.
// Memory : reads each logit three times (twice from L1), writes p and one loss a row.
// Exact  : log p from the logits, never clipped. A label that is no class gives NaN: a kernel cannot throw, and the step must not count.
template <class T>
__global__ void cross_entropy_forward_kernel(SoftmaxShape s, const T* logits, const int32_t* labels, const float* class_weights, float* p,
                                             float* losses) {
  const int64_t row = int64_t(blockIdx.x) * kSoftmaxWarps + threadIdx.x / 32;
  if (row >= s.rows) return;  // the whole warp
  const SoftmaxRow<T> r(logits + row * s.classes, s.classes);
  for (int64_t k = threadIdx.x % 32; k < s.classes; k += 32) p[row * s.classes + k] = r.p(k);
  if (threadIdx.x % 32 != 0) return;
  const int32_t label = labels[row];
  losses[row] = label >= 0 && label < s.classes ? class_weights[label] * -r.log_p(label) : NAN;
}

// loss = Σ losses[i] / rows
// Layout : losses is [rows], loss one value, both float32.
// Thread : one block; each thread adds every 256th loss.
// Memory : reads one value a row: a batch is small, the launch is all it costs.
// Exact  : each thread adds in order, the block as a tree: the same bits in every run.
__global__ void mean_loss_kernel(int64_t rows, const float* losses, float* loss, Accumulate how) {
  PTRAIN_SHARED(float, shared, [32]);
  float sum = 0.f;
  for (int64_t i = threadIdx.x; i < rows; i += kBlock) sum += losses[i];
  sum = block_sum<kBlock>(sum, shared);
  if (threadIdx.x == 0) put<1>(loss, 0, Floats<1>{{sum / float(rows)}}, how);
}

// dlogits[i,k] = dloss · class_weights[label] · (p[i,k] − (k == label)) / rows
// Layout : p is rows × classes in float32, dlogits the same in T; labels int32, dloss one float32 (it carries the loss scale).
// Thread : a warp a row, its lanes side by side along the classes: what belongs to the row is read once.
// Memory : reads one value and writes one per output.
// Exact  : float32, rounded once to the type. A label that is no class gives NaN.
template <class T>
__global__ void cross_entropy_backward_kernel(SoftmaxShape s, const float* p, const int32_t* labels, const float* class_weights,
                                              const float* dloss, T* dlogits, Accumulate how) {
  const int64_t row = int64_t(blockIdx.x) * kSoftmaxWarps + threadIdx.x / 32;
  if (row >= s.rows) return;  // the whole warp
  const int32_t label = labels[row];
  const float weight = label >= 0 && label < s.classes ? dloss[0] * class_weights[label] / float(s.rows) : NAN;
  for (int64_t k = threadIdx.x % 32; k < s.classes; k += 32) {
    const int64_t i = row * s.classes + k;
    put<1>(dlogits, i, Floats<1>{{weight * (p[i] - (k == label ? 1.f : 0.f))}}, how);
  }
}

}  // namespace

void softmax_cross_entropy_forward(SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses, Into loss,
                                   cudaStream_t stream) {
  if (s.rows == 0 || s.classes == 0) return;
  visit_device(logits.dtype, [&]<class T>(T) {
    launch(cross_entropy_forward_kernel<T>, blocks_for(s.rows, kSoftmaxWarps), kSoftmaxWarps * 32, 0, stream, s, logits.as<T>(),
           labels.as<int32_t>(), class_weights.as<float>(), p.as<float>(), losses.as<float>());
  });
  launch(mean_loss_kernel, 1, kBlock, 0, stream, s.rows, losses.as<float>(), loss.buffer.as<float>(), loss.how);
  GPU_CHECK(cudaGetLastError());
}

void softmax_cross_entropy_backward(SoftmaxShape s, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss, Into dlogits,
                                    cudaStream_t stream) {
  if (s.rows == 0 || s.classes == 0) return;
  visit_device(dlogits.buffer.dtype, [&]<class T>(T) {
    launch(cross_entropy_backward_kernel<T>, blocks_for(s.rows, kSoftmaxWarps), kSoftmaxWarps * 32, 0, stream, s, p.as<float>(),
           labels.as<int32_t>(), class_weights.as<float>(), dloss.as<float>(), dlogits.buffer.as<T>(), dlogits.how);
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
