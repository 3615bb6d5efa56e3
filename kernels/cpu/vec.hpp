// defines: Vec, sixteen floats in a register (GCC's vector extension: plain arithmetic on any processor), and its loads and stores
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <type_traits>
#include <utility>

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "kernels/cpu/loops.hpp"

// Every function on Vec is inlined, so how a call would pass one does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

#define PTRAIN_INLINE __attribute__((always_inline))  // behind the parameters of a lambda

namespace ptrain::cpu {

// Whether there are 32 registers of sixteen floats, for which the loops of matrix products are written.
#ifdef __AVX512F__
constexpr bool kWideVectors = true;
#else
constexpr bool kWideVectors = false;
#endif

constexpr int64_t kLanes = 16;
using Vec = float __attribute__((vector_size(64)));
using HalfVec = float __attribute__((vector_size(32)));
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

// The first `count` lanes, for the end of a row; the others are zero, and are not stored.
template <class T>
Vec load(const T* p, int64_t count) {
  if (count >= kLanes) return load(p);
  T lanes[kLanes] = {};
  std::copy_n(p, count, lanes);
  return load(lanes);
}
template <class T>
void store(T* p, Vec v, int64_t count) {
  if (count >= kLanes) return store(p, v);
  T lanes[kLanes];
  store(lanes, v);
  std::copy_n(lanes, count, p);
}

// Calls f(i, lanes) for [begin, end), sixteen at a time; lanes goes to load() and store(). It is a constant but for the last call.
template <class F>
[[gnu::always_inline]] inline void over_lanes(int64_t begin, int64_t end, F&& f) {
  int64_t i = begin;
  for (; i + kLanes <= end; i += kLanes) f(i, std::integral_constant<int64_t, kLanes>{});
  if (i < end) f(i, end - i);
}

// v where it is not below the bound, or not above it. A NaN stays a NaN. (AVX's instructions are exactly this; GCC 12 takes two for it.)
inline float at_least(float v, float low) { return v < low ? low : v; }
inline float at_most(float v, float high) { return v > high ? high : v; }
#ifdef __AVX512F__
inline Vec at_least(Vec v, float low) { return _mm512_maskz_max_ps(0xffff, _mm512_set1_ps(low), v); }
inline Vec at_most(Vec v, float high) { return _mm512_maskz_min_ps(0xffff, _mm512_set1_ps(high), v); }
inline HalfVec at_least(HalfVec v, float low) { return _mm256_max_ps(_mm256_set1_ps(low), v); }
inline HalfVec at_most(HalfVec v, float high) { return _mm256_min_ps(_mm256_set1_ps(high), v); }
#else
template <class V>
V at_least(V v, float low) {
  return v < low ? V{} + low : v;
}
template <class V>
V at_most(V v, float high) {
  return v > high ? V{} + high : v;
}
#endif

template <class A, class V>
V activate(V v) {
  if constexpr (!std::is_same_v<A, Linear>) v = at_least(v, 0);
  if constexpr (std::is_same_v<A, Relu6>) v = at_most(v, 6);
  return v;
}

// f(0), f(1), …, f(N − 1) with the numbers as constants, so that an array of Vec indexed by them lives in registers. GCC unrolls plain
// loops too late for that.
template <int N, class F>
[[gnu::always_inline]] inline void unrolled(F&& f) {
  [&]<int... I>(std::integer_sequence<int, I...>) PTRAIN_INLINE { (f(std::integral_constant<int, I>{}), ...); }
  (std::make_integer_sequence<int, N>{});
}

// Rows become columns: v[i][j] and v[j][i] change places. Pairs of rows that lie 1, 2, 4, 8 apart exchange halves.
inline void transpose(Vec (&v)[kLanes]) {
  unrolled<4>([&](auto stage) PTRAIN_INLINE {
    constexpr int kStep = 1 << stage;
    VecBits low, high;
    for (int j = 0; j < kLanes; ++j) {
      const bool second = j & kStep;
      low[j] = uint32_t(second ? kLanes + j - kStep : j);
      high[j] = uint32_t(second ? kLanes + j : j + kStep);
    }
    unrolled<kLanes>([&](auto i) PTRAIN_INLINE {
      if constexpr ((i & kStep) == 0) {
        const Vec a = v[i], b = v[i + kStep];
        v[i] = __builtin_shuffle(a, b, low);
        v[i + kStep] = __builtin_shuffle(a, b, high);
      }
    });
  });
}

}  // namespace ptrain::cpu
