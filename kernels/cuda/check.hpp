// defines: GPU_CHECK: a failed call of the CUDA runtime, cuBLAS or cuDNN becomes an Error that says which, where and what it means
#pragma once

#include <cuda_runtime.h>

#include "kernels/error.hpp"

namespace ptrain::cuda {

[[noreturn]] inline void gpu_failure(cudaError_t e, const char* call, const char* file, int line) {
  fail(ErrorKind::device, file, ":", line, ": ", call, " failed: ", cudaGetErrorName(e), ": ", cudaGetErrorString(e));
}
inline void check(cudaError_t e, const char* call, const char* file, int line) {
  if (e != cudaSuccess) gpu_failure(e, call, file, line);
}

}  // namespace ptrain::cuda

#define GPU_CHECK(call) ::ptrain::cuda::check((call), #call, __FILE__, __LINE__)
