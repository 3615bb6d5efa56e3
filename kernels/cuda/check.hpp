// defines: GPU_CHECK: a failed call of the CUDA runtime, cuBLAS or cuDNN becomes an Error that says which, where and what it means
#pragma once

#include <cuda_runtime.h>

#include "kernels/error.hpp"

namespace ptrain::cuda {

inline void check(cudaError_t e, const char* call, const char* file, int line) {
  if (e != cudaSuccess) fail(ErrorKind::device, file, ":", line, ": ", call, " failed: ", cudaGetErrorName(e), ": ", cudaGetErrorString(e));
}

}  // namespace ptrain::cuda

#define GPU_CHECK(...) ::ptrain::cuda::check((__VA_ARGS__), #__VA_ARGS__, __FILE__, __LINE__)
