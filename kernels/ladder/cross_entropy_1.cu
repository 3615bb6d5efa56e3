#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps

// losses[i] = −class_weights[label] · log p[i, label]; loss = Σ losses / rows; p = softmax of the logits, the largest taken out first
// Layout : logits and p are rows × classes in float32, labels int32.
// Thread : one row, three passes over its classes. Neighbouring threads read `classes` values apart: with many classes every load of a warp
//          is 32 sectors.
// Memory : reads each logit three times, writes p and one loss a row.
// Exact  : sums in order; the mean loss by an atomic a row, in any order.
__global__ void cross_entropy_1_kernel(SoftmaxShape s, const float* logits, const int32_t* labels, const float* class_weights, float* p,
                                       float* losses, float* loss) {
  const int64_t row = thread_index();
  if (row >= s.rows) return;
  const float* z = logits + row * s.classes;
  float largest = z[0], sum = 0.f;
  for (int64_t k = 1; k < s.classes; ++k) largest = fmaxf(largest, z[k]);
  for (int64_t k = 0; k < s.classes; ++k) sum += expf(z[k] - largest);
  for (int64_t k = 0; k < s.classes; ++k) p[row * s.classes + k] = expf(z[k] - largest) / sum;
  const int32_t label = labels[row];
  losses[row] = -class_weights[label] * (z[label] - largest - logf(sum));
  atomicAdd(loss, losses[row] / float(s.rows));
}

}  // namespace

void cross_entropy_1(SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses, Into loss,
                     cudaStream_t stream) {
  if (s.rows == 0 || s.classes == 0) return;
  if (loss.how == Accumulate::no) fill(0, loss.buffer, stream);
  launch(cross_entropy_1_kernel, blocks_for(s.rows, kBlock), kBlock, 0, stream, s, logits.as<float>(), labels.as<int32_t>(),
         class_weights.as<float>(), p.as<float>(), losses.as<float>(), loss.buffer.as<float>());
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
