// defines: Vec, sixteen floats in a register (GCC's vector extension: plain arithmetic on any processor), and its loads and stores
#pragma once

#include <bit>
#include <cstring>

#include "kernels/dtype.hpp"

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
inline Vec load(const BFloat16* p) {
  VecHalf h;
  std::memcpy(&h, p, sizeof(h));
  return std::bit_cast<Vec>(__builtin_convertvector(h, VecBits) << 16);
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof(v)); }
inline void store(BFloat16* p, Vec v) {  // rounds as BFloat16(float) does
  const VecBits u = std::bit_cast<VecBits>(v);
  const VecBits rounded = v != v ? u >> 16 | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16;
  const VecHalf h = __builtin_convertvector(rounded, VecHalf);
  std::memcpy(static_cast<void*>(p), &h, sizeof(h));
}

}  // namespace ptrain::cpu
