// defines: sums and maxima over the threads of a warp or block, as a tree: the same bits in every run
#pragma once

#include "kernels/cuda/launch.cuh"

namespace ptrain::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;

// Over the 32 lanes, all of which must come; every lane gets the result.
__device__ inline float warp_sum(float v) {
  for (int bits = 16; bits > 0; bits /= 2) v += __shfl_xor_sync(kAllLanes, v, bits);
  return v;
}
__device__ inline float warp_max(float v) {
  for (int bits = 16; bits > 0; bits /= 2) v = fmaxf(v, __shfl_xor_sync(kAllLanes, v, bits));
  return v;
}

// Over a block of `kThreads` (a multiple of 32, at most 1024); thread 0 gets the result. `shared` has 32 floats and may be used again
// after the next barrier.
template <int kThreads>
__device__ inline float block_sum(float v, float* shared) {
  constexpr int kWarps = kThreads / 32;
  const auto lane = int(threadIdx.x % 32), warp = int(threadIdx.x / 32);
  v = warp_sum(v);
  if (lane == 0) shared[warp] = v;
  __syncthreads();
  if (warp == 0) v = warp_sum(lane < kWarps ? shared[lane] : 0.f);
  return v;
}

}  // namespace ptrain::cuda
