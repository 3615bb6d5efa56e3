#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kWarps = 8;  // rows a block

// As step 1. The largest logit and the sum come from one pass: when a larger logit turns up, the sum so far is scaled down
// (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).
// Layout : logits and p are rows × classes in float32, labels int32.
// Thread : a warp a row, lanes side by side along the classes; lanes are merged by shuffles: no barrier, no shared memory.
// Memory : reads each logit twice (once from L1), writes p and one loss a row.
// Exact  : trees: the same bits in every run; the mean loss by an atomic a row, in any order.
__global__ void cross_entropy_3_kernel(SoftmaxShape s, const float* logits, const int32_t* labels, const float* class_weights, float* p,
                                       float* losses, float* loss) {
  const int64_t row = thread_index() / 32, lane = threadIdx.x % 32;
  if (row >= s.rows) return;  // the whole warp
  const float* z = logits + row * s.classes;
  float largest = -INFINITY, sum = 0.f;
  for (int64_t k = lane; k < s.classes; k += 32) {
    const float next = fmaxf(largest, z[k]);
    sum = fmaf(sum, expf(largest - next), expf(z[k] - next));
    largest = next;
  }
  const float all = warp_max(largest);
  sum = warp_sum(largest == -INFINITY ? 0.f : sum * expf(largest - all));  // lanes without a class have nothing to add
  for (int64_t k = lane; k < s.classes; k += 32) p[row * s.classes + k] = expf(z[k] - all) / sum;
  if (lane != 0) return;
  const int32_t label = labels[row];
  losses[row] = -class_weights[label] * (z[label] - all - logf(sum));
  atomicAdd(loss, losses[row] / float(s.rows));
}

}  // namespace

void cross_entropy_3(SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses, Into loss,
                     cudaStream_t stream) {
  if (s.rows == 0 || s.classes == 0) return;
  if (loss.how == Accumulate::no) fill(0, loss.buffer, stream);
  launch(cross_entropy_3_kernel, blocks_for(s.rows, kWarps), kWarps * 32, 0, stream, s, logits.as<float>(), labels.as<int32_t>(),
         class_weights.as<float>(), p.as<float>(), losses.as<float>(), loss.buffer.as<float>());
  GPU_CHECK(cudaGetLastError());
}

// Step 4 is kernels/cuda/cross_entropy.cu.
void cross_entropy_4(SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses, Into loss,
                     cudaStream_t stream) {
  softmax_cross_entropy_forward(s, logits, labels, class_weights, p, losses, loss, stream);
}

}  // namespace ptrain::cuda::ladder
