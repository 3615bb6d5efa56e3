// defines: what most kernels do with memory: load(), store(), put() of V neighbouring values as floats; activations; the host's choice of V
#pragma once

#include <cstring>
#include <initializer_list>
#include <type_traits>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/types.cuh"
#include "kernels/shapes.hpp"

// PTRAIN_UNROLL: before a loop whose counter must be a constant in each turn, so that an array it indexes stays in registers.
// PTRAIN_ROLL: before a loop that must not be unrolled, which takes fewer registers.
#if defined(PTRAIN_SIMT)
#define PTRAIN_UNROLL
#define PTRAIN_ROLL
#else
#define PTRAIN_UNROLL _Pragma("unroll")
#define PTRAIN_ROLL _Pragma("unroll 1")
#endif

namespace ptrain::cuda {

// V values on their way through a kernel: everything is computed in float32.
template <int V>
struct Floats {
  float v[V];
};

// `bytes` of memory that are moved by one instruction.
template <int bytes>
struct Bits;
#if defined(PTRAIN_SIMT)
template <int bytes>
struct Bits {
  typedef uint16_t type __attribute__((vector_size(bytes), may_alias));
};
#else
template <>
struct Bits<4> {
  using type = unsigned;
};
template <>
struct Bits<8> {
  using type = uint2;
};
template <>
struct Bits<16> {
  using type = uint4;
};
#endif

// Moves V values, up to 16 bytes at once; `p` is a multiple of as much.
template <int V, class T>
__device__ inline Vec<T, V> load_bits(const T* p) {
  Vec<T, V> x;
  if constexpr (V == 1) {
    x.v[0] = *p;
  } else {
    constexpr int kMove = int(sizeof(T)) * V < 16 ? int(sizeof(T)) * V : 16, kValues = kMove / int(sizeof(T));
    using B = typename Bits<kMove>::type;
    for (int k = 0; k < V; k += kValues) {
      const B bits = *reinterpret_cast<const B*>(p + k);
      memcpy(x.v + k, &bits, sizeof(bits));
    }
  }
  return x;
}
template <int V, class T>
__device__ inline void store_bits(T* p, const Vec<T, V>& x) {
  if constexpr (V == 1) {
    *p = x.v[0];
  } else {
    constexpr int kMove = int(sizeof(T)) * V < 16 ? int(sizeof(T)) * V : 16, kValues = kMove / int(sizeof(T));
    using B = typename Bits<kMove>::type;
    for (int k = 0; k < V; k += kValues) {
      B bits;
      memcpy(&bits, x.v + k, sizeof(bits));
      *reinterpret_cast<B*>(p + k) = bits;
    }
  }
}

// Values [i, i + V) of p, all of which are there.
template <int V, class T>
__device__ inline Floats<V> load(const T* p, int64_t i) {
  const Vec<T, V> x = load_bits<V>(p + i);
  Floats<V> f;
  for (int k = 0; k < V; ++k) f.v[k] = to_float(x.v[k]);
  return f;
}
// The same where only those before `n` are there: 0 for the others.
template <int V, class T>
__device__ inline Floats<V> load(const T* p, int64_t i, int64_t n) {
  if (i + V <= n) return load<V>(p, i);
  Floats<V> f;
  for (int k = 0; k < V; ++k) f.v[k] = i + k < n ? to_float(p[i + k]) : 0.f;
  return f;
}

// p[i + k] = f[k], rounded to nearest.
template <int V, class T>
__device__ inline void store(T* p, int64_t i, const Floats<V>& f) {
  Vec<T, V> x;
  for (int k = 0; k < V; ++k) x.v[k] = from_float<T>(f.v[k]);
  store_bits<V>(p + i, x);
}
template <int V, class T>
__device__ inline void store(T* p, int64_t i, int64_t n, const Floats<V>& f) {
  if (i + V <= n) return store<V>(p, i, f);
  for (int k = 0; k < V; ++k)
    if (i + k < n) p[i + k] = from_float<T>(f.v[k]);
}

// Overwrites, or adds to what is there.
template <int V, class T>
__device__ inline void put(T* p, int64_t i, Floats<V> f, Accumulate how) {
  if (how == Accumulate::yes) {
    const Floats<V> old = load<V>(p, i);
    for (int k = 0; k < V; ++k) f.v[k] += old.v[k];
  }
  store<V>(p, i, f);
}
template <int V, class T>
__device__ inline void put(T* p, int64_t i, int64_t n, Floats<V> f, Accumulate how) {
  if (how == Accumulate::yes) {
    const Floats<V> old = load<V>(p, i, n);
    for (int k = 0; k < V; ++k) f.v[k] += old.v[k];
  }
  store<V>(p, i, n, f);
}

// relu: max(v, 0); relu6: min(max(v, 0), 6). A NaN stays a NaN.
__device__ inline float activated(Act act, float v) {
  if (act == Act::none) return v;
  if (v < 0.f) return 0.f;
  return act == Act::relu6 && v > 6.f ? 6.f : v;
}
// The gradient before an activation whose output is y: dy where the slope is 1, nothing on the flat parts and at their ends.
__device__ inline float before(Act act, float y, float dy) {
  if (act == Act::none) return dy;
  return y > 0.f && (act == Act::relu || y < 6.f) ? dy : 0.f;
}

// The number of this thread in a grid of one dimension.
__device__ inline int64_t thread_index() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }

constexpr int64_t div_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// The grid for `threads` threads.
inline unsigned blocks_for(int64_t threads, int block) {
  const int64_t blocks = div_up(threads, block);
  REQUIRE_THAT(blocks <= INT32_MAX, "a launch of ", blocks, " blocks: more than a grid can have");
  return unsigned(blocks);
}

// Whether 16 bytes can be moved at once at each of these addresses. Missing buffers do not matter.
inline bool aligned(std::initializer_list<const void*> addresses) {
  for (const void* p : addresses)
    if (reinterpret_cast<uintptr_t>(p) % 16 != 0) return false;
  return true;
}
// Calls f with V as a constant when all addresses allow it (and `also` holds), else with 1.
template <int V, class F>
void with_width(std::initializer_list<const void*> addresses, bool also, F&& f) {
  if (also && aligned(addresses)) f(std::integral_constant<int, V>{});
  else f(std::integral_constant<int, 1>{});
}
template <int V, class F>
void with_width(std::initializer_list<const void*> addresses, F&& f) {
  with_width<V>(addresses, true, f);
}

}  // namespace ptrain::cuda
