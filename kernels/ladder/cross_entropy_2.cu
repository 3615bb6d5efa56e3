#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 128;  // four warps a row

// What `f` makes of all threads' values, as a tree in shared memory; all threads get it.
template <class F>
__device__ float tree(float v, float* shared, F f) {
  shared[threadIdx.x] = v;
  for (unsigned half = kBlock / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) shared[threadIdx.x] = f(shared[threadIdx.x], shared[threadIdx.x + half]);
  }
  __syncthreads();
  v = shared[0];
  __syncthreads();  // before the next tree
  return v;
}

// As step 1.
// Layout : logits and p are rows × classes in float32, labels int32.
// Thread : a block a row; neighbouring threads take neighbouring classes, so loads lie side by side. With the few
//          classes of a classifier most threads have nothing to do, and each tree costs nine barriers.
// Memory : reads each logit three times (twice from L1), writes p and one loss a row.
// Exact  : trees: the same bits in every run; the mean loss by an atomic a row, in any order.
__global__ void cross_entropy_2_kernel(SoftmaxShape s, const float* logits, const int32_t* labels, const float* class_weights, float* p,
                                       float* losses, float* loss) {
  PTRAIN_SHARED(float, shared, [kBlock]);
  const int64_t row = blockIdx.x;
  const float* z = logits + row * s.classes;
  float largest = -INFINITY, sum = 0.f;
  for (int64_t k = threadIdx.x; k < s.classes; k += kBlock) largest = fmaxf(largest, z[k]);
  largest = tree(largest, shared, [](float a, float b) { return fmaxf(a, b); });
  for (int64_t k = threadIdx.x; k < s.classes; k += kBlock) sum += expf(z[k] - largest);
  sum = tree(sum, shared, [](float a, float b) { return a + b; });
  for (int64_t k = threadIdx.x; k < s.classes; k += kBlock) p[row * s.classes + k] = expf(z[k] - largest) / sum;
  if (threadIdx.x != 0) return;
  const int32_t label = labels[row];
  losses[row] = -class_weights[label] * (z[label] - largest - logf(sum));
  atomicAdd(loss, losses[row] / float(s.rows));
}

}  // namespace

void cross_entropy_2(SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses, Into loss,
                     cudaStream_t stream) {
  if (s.rows == 0 || s.classes == 0) return;
  if (loss.how == Accumulate::no) fill(0, loss.buffer, stream);
  launch(cross_entropy_2_kernel, blocks_for(s.rows, 1), kBlock, 0, stream, s, logits.as<float>(), labels.as<int32_t>(),
         class_weights.as<float>(), p.as<float>(), losses.as<float>(), loss.buffer.as<float>());
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
