// defines: Vec, sixteen floats in a register (GCC's vector extension: plain arithmetic on any processor), and its loads and stores
#pragma once

#include <bit>
#include <cstring>
#include <utility>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "kernels/dtype.hpp"

#define PTRAIN_INLINE __attribute__((always_inline))  // behind the parameters of a lambda

namespace ptrain::cpu {

constexpr int64_t kLanes = 16;
using Vec = float __attribute__((vector_size(64)));
using VecBits = uint32_t __attribute__((vector_size(64)));
using VecHalf = uint16_t __attribute__((vector_size(32)));

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof(v));
  return v;
}
// Sixteen numbers from 16 to 32 bits, and the lower halves back. GCC 12 takes five instructions for what AVX-512 has one. (The form
// with a mask of ones, because the plain one warns of a value that is not initialised.)
#ifdef __AVX512F__
inline VecBits widened(VecHalf h) { return VecBits(_mm512_maskz_cvtepu16_epi32(0xffff, __m256i(h))); }
inline VecHalf narrowed(VecBits b) { return VecHalf(_mm512_maskz_cvtepi32_epi16(0xffff, __m512i(b))); }
#else
inline VecBits widened(VecHalf h) { return __builtin_convertvector(h, VecBits); }
inline VecHalf narrowed(VecBits b) { return __builtin_convertvector(b, VecHalf); }
#endif

inline Vec load(const BFloat16* p) {
  VecHalf h;
  std::memcpy(&h, p, sizeof(h));
  return std::bit_cast<Vec>(widened(h) << 16);
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof(v)); }
inline void store(BFloat16* p, Vec v) {  // rounds as BFloat16(float) does
  const VecBits u = std::bit_cast<VecBits>(v);
  const VecBits rounded = v != v ? u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
  const VecHalf h = narrowed(rounded);
  std::memcpy(static_cast<void*>(p), &h, sizeof(h));
}

// f(0), f(1), …, f(N − 1) with the numbers as constants, so that an array of Vec indexed by them lives in registers. GCC unrolls plain
// loops too late for that.
template <int N, class F>
[[gnu::always_inline]] inline void unrolled(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) PTRAIN_INLINE { (f(std::integral_constant<int, I>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

}  // namespace ptrain::cpu
