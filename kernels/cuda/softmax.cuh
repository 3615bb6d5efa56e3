// defines: SoftmaxRow: the softmax of one row of logits, a warp to a row
#pragma once

#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/types.cuh"

namespace ptrain::cuda {

constexpr int kSoftmaxWarps = 8;  // rows a block

// p[k] = exp(z[k] − largest) / sum: with the largest logit taken out no exponential overflows. All lanes of a warp hold the same numbers.
template <class T>
struct SoftmaxRow {
  __device__ SoftmaxRow(const T* logits, int64_t n) : z(logits) {
    const auto lane = int64_t(threadIdx.x % 32);
    bool nan = false;
    for (int64_t k = lane; k < n; k += 32) {
      const float v = to_float(z[k]);
      nan |= v != v;
      largest = fmaxf(largest, v);  // which would lose a NaN
    }
    largest = __any_sync(kAllLanes, nan) ? NAN : warp_max(largest);
    for (int64_t k = lane; k < n; k += 32) sum += expf(to_float(z[k]) - largest);
    sum = warp_sum(sum);
  }
  __device__ float p(int64_t k) const { return expf(to_float(z[k]) - largest) / sum; }
  __device__ float log_p(int64_t k) const { return to_float(z[k]) - largest - logf(sum); }

  const T* z;
  float largest = -INFINITY, sum = 0.f;
};

}  // namespace ptrain::cuda
