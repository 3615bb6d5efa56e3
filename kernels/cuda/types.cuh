// defines: how kernels read and write float, __half and __nv_bfloat16: to_float(), from_float(), Vec, visit_device()
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/dtype.hpp"

namespace ptrain::cuda {

__device__ inline float to_float(float x) { return x; }
__device__ inline float to_float(__half x) { return __half2float(x); }
__device__ inline float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <class T>
__device__ inline T from_float(float x);
template <>
__device__ inline float from_float<float>(float x) {
  return x;
}
template <>
__device__ inline __half from_float<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}

// N values that are loaded and stored at once; the address must be a multiple of its size.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];
};
// How many values of T make 16 bytes, the widest load.
template <class T>
constexpr int kWide = 16 / int(sizeof(T));

// Calls f with a value of the device's type for float32, float16 or bfloat16.
template <class F>
decltype(auto) visit_device(DType t, F&& f) {
  switch (t) {
    case DType::float32: return f(float{});
    case DType::float16: return f(__half{});
    case DType::bfloat16: return f(__nv_bfloat16{});
    default: fail(ErrorKind::failed, "cuda computes in float32, float16 and bfloat16, not in ", str(t));
  }
}

}  // namespace ptrain::cuda
