// defines: launch(), PTRAIN_SHARED, PTRAIN_DYNAMIC_SHARED, GPU_CHECK: what a .cu file needs to be compiled by nvcc for a GPU and by
// g++ for the emulator of kernels/simt (PTRAIN_SIMT is defined there).
//
//   launch(kernel, grid, block, shared_bytes, stream, arguments…);   <<<>>>; the arguments are converted to the kernel's parameters
//   GPU_CHECK(cudaGetLastError());                                    ends every launcher
//   PTRAIN_SHARED(float, tile, [kRows][kColumns + 1]);                __shared__ float tile[kRows][kColumns + 1];
//   PTRAIN_SHARED(float, total, );                                    __shared__ float total;
//   PTRAIN_DYNAMIC_SHARED(float, rows);                               the shared_bytes of the launch, as a float*
//
// Kernels use what simt.hpp offers: __syncthreads, __syncwarp, __shfl_*_sync, __ballot_sync, __any_sync, __all_sync, atomics, __ldg and a
// few intrinsics.
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/check.hpp"

#if defined(PTRAIN_SIMT)

#include "kernels/simt/simt.hpp"

#else

#define PTRAIN_SHARED(T, name, ...) __shared__ T name __VA_ARGS__
#define PTRAIN_DYNAMIC_SHARED(T, name)                             \
  extern __shared__ __align__(16) unsigned char ptrain_dynamic_[]; \
  T* name = reinterpret_cast<T*>(ptrain_dynamic_)

namespace ptrain::cuda {

template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A&&... args) {
  static_assert(sizeof...(P) == sizeof...(A), "as many arguments as the kernel has parameters");
  constexpr size_t kWithoutAsking = 48 << 10;
  if (shared_bytes > kWithoutAsking)
    GPU_CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes)));
  // The formatter would take >>> apart.
  // clang-format off
  kernel<<<grid, block, shared_bytes, stream>>>(static_cast<P>(args)...);
  // clang-format on
}

}  // namespace ptrain::cuda

#endif
