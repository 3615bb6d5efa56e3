// defines: __half and the few functions of it that ptrain uses, for cuda-sim. Every operation is one in float, rounded to nearest even.
#pragma once

#include "kernels/dtype.hpp"
#include "vector_types.h"

struct alignas(2) __half {
  unsigned short bits;
  __half() = default;
  __half(float f) : bits(ptrain::Float16(f).bits) {}
  operator float() const {
    ptrain::Float16 h;
    h.bits = bits;
    return float(h);
  }
};
struct alignas(4) __half2 {
  __half x, y;
};

inline __half __float2half(float f) { return __half(f); }
inline __half __float2half_rn(float f) { return __half(f); }
inline float __half2float(__half h) { return float(h); }
inline __half2 __floats2half2_rn(float x, float y) { return {__half(x), __half(y)}; }
inline float2 __half22float2(__half2 h) { return {float(h.x), float(h.y)}; }
inline float __low2float(__half2 h) { return float(h.x); }
inline float __high2float(__half2 h) { return float(h.y); }
