// defines: Rounded, a float32 whose every operation is rounded by itself: the compiler must not fuse a product with a sum
#pragma once

#include "kernels/cuda/launch.cuh"

namespace ptrain::cuda {

// For arithmetic that gives the same bits on every device: update rules, positions of pixels.
struct Rounded {
  float v;
  Rounded() = default;
  __device__ Rounded(float f) : v(f) {}

  friend __device__ Rounded operator+(Rounded a, Rounded b) { return __fadd_rn(a.v, b.v); }
  friend __device__ Rounded operator-(Rounded a, Rounded b) { return __fsub_rn(a.v, b.v); }
  friend __device__ Rounded operator*(Rounded a, Rounded b) { return __fmul_rn(a.v, b.v); }
  friend __device__ Rounded operator/(Rounded a, Rounded b) { return __fdiv_rn(a.v, b.v); }
};
__device__ inline Rounded root(Rounded a) { return __fsqrt_rn(a.v); }

}  // namespace ptrain::cuda
