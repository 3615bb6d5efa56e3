// defines: the vector types of CUDA that our kernels use. Own declarations, so that cuda-sim builds where no CUDA is installed.
#pragma once

#include <cstdint>

struct uint3 {
  unsigned x = 0, y = 0, z = 0;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

#define PTRAIN_VECTORS(T, name, size)                                               \
  struct alignas(2 * size) name##2 {                                                \
    T x, y;                                                                         \
  };                                                                                \
  struct name##3 {                                                                  \
    T x, y, z;                                                                      \
  };                                                                                \
  struct alignas(4 * size < 16 ? 4 * size : 16) name##4 {                           \
    T x, y, z, w;                                                                   \
  };                                                                                \
  constexpr name##2 make_##name##2(T x, T y) { return {x, y}; }                     \
  constexpr name##3 make_##name##3(T x, T y, T z) { return {x, y, z}; }             \
  constexpr name##4 make_##name##4(T x, T y, T z, T w) { return {x, y, z, w}; }

PTRAIN_VECTORS(float, float, 4)
PTRAIN_VECTORS(int, int, 4)
PTRAIN_VECTORS(unsigned char, uchar, 1)
PTRAIN_VECTORS(unsigned short, ushort, 2)

struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
constexpr uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
constexpr uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
