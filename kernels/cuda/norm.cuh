// defines: what the kernels of batch normalisation share
#pragma once

#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {

// Finishing kernels: a warp across 32 channels, eight of them share the partial results of the walkers.
constexpr unsigned kFinishColumns = 32, kFinishWalkers = 8;

// gamma[c], or 1 where there is none.
template <int V>
__device__ inline Floats<V> load_or_ones(const float* p, int64_t c) {
  if (p) return load<V>(p, c);
  Floats<V> ones;
  for (int k = 0; k < V; ++k) ones.v[k] = 1.f;
  return ones;
}

}  // namespace ptrain::cuda
