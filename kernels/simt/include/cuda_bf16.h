// defines: __nv_bfloat16 and the few functions of it that ptrain uses, for cuda-sim. Every operation is one in float, rounded to nearest
// even.
#pragma once

#include "kernels/dtype.hpp"
#include "vector_types.h"

struct alignas(2) __nv_bfloat16 {
  unsigned short bits;
  __nv_bfloat16() = default;
  __nv_bfloat16(float f) : bits(ptrain::BFloat16(f).bits) {}
  operator float() const {
    ptrain::BFloat16 b;
    b.bits = bits;
    return float(b);
  }
};
struct alignas(4) __nv_bfloat162 {
  __nv_bfloat16 x, y;
};

inline __nv_bfloat16 __float2bfloat16(float f) { return __nv_bfloat16(f); }
inline __nv_bfloat16 __float2bfloat16_rn(float f) { return __nv_bfloat16(f); }
inline float __bfloat162float(__nv_bfloat16 b) { return float(b); }
inline __nv_bfloat162 __floats2bfloat162_rn(float x, float y) { return {__nv_bfloat16(x), __nv_bfloat16(y)}; }
inline float2 __bfloat1622float2(__nv_bfloat162 b) { return {float(b.x), float(b.y)}; }
