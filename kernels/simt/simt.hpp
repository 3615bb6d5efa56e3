// defines: what a kernel finds when g++ compiles it: threadIdx, __syncthreads(), shuffles, atomics, launch(). The threads themselves:
// grid.hpp
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "cuda_runtime.h"
#include "kernels/simt/grid.hpp"
#include "kernels/simt/stream.hpp"

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__

#define threadIdx (::ptrain::simt::builtins.thread)
#define blockIdx (::ptrain::simt::builtins.block)
#define blockDim (::ptrain::simt::builtins.threads)
#define gridDim (::ptrain::simt::builtins.blocks)
constexpr int warpSize = 32;

// Where the caller stands, as default arguments.
#define PTRAIN_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()

inline void __syncthreads(PTRAIN_SITE) { ptrain::simt::sync_threads({file, line}); }
inline void __syncwarp(unsigned mask = 0xffffffffu, PTRAIN_SITE) {
  ptrain::simt::collective(mask, ptrain::simt::Collective::sync, 0, 0, {file, line});
}
inline unsigned __ballot_sync(unsigned mask, int predicate, PTRAIN_SITE) {
  return unsigned(ptrain::simt::collective(mask, ptrain::simt::Collective::ballot, predicate != 0, 0, {file, line}));
}
inline int __any_sync(unsigned mask, int predicate, PTRAIN_SITE) { return __ballot_sync(mask, predicate, file, line) != 0; }
inline int __all_sync(unsigned mask, int predicate, PTRAIN_SITE) { return (__ballot_sync(mask, predicate, file, line) & mask) == mask; }

namespace ptrain::simt {

// The value of lane `source`; the lane's own when that lies outside its segment of `width` lanes.
template <class T>
T shuffle(unsigned mask, T value, int source, int width, Site site) {
  static_assert(sizeof(T) <= 8);
  const int lane = lane_index();
  if (source < 0 || source >= 32 || source / width != lane / width) source = lane;
  uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = collective(mask, Collective::shuffle, bits, source, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// One atomic operation: threads take turns, so it is a plain one; observers hear of it.
template <class T, class F>
__attribute__((no_sanitize("thread"))) T atomically(T* p, const void* caller, F&& f) {
  if (observer) observer->atomic(p, sizeof(T), caller);
  const T old = *p;
  *p = f(old);
  return old;
}

}  // namespace ptrain::simt

template <class T>
T __shfl_sync(unsigned mask, T value, int lane, int width = 32, PTRAIN_SITE) {
  return ptrain::simt::shuffle(mask, value, (ptrain::simt::lane_index() & ~(width - 1)) + (lane & (width - 1)), width, {file, line});
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, PTRAIN_SITE) {
  return ptrain::simt::shuffle(mask, value, ptrain::simt::lane_index() ^ bits, width, {file, line});
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32, PTRAIN_SITE) {
  return ptrain::simt::shuffle(mask, value, ptrain::simt::lane_index() + int(by), width, {file, line});
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32, PTRAIN_SITE) {
  return ptrain::simt::shuffle(mask, value, ptrain::simt::lane_index() - int(by), width, {file, line});
}

#define PTRAIN_ATOMIC(name, expression)                                                                               \
  template <class T>                                                                                                  \
  [[gnu::noinline, gnu::no_sanitize("thread")]] T name(T* p, std::type_identity_t<T> v) {                             \
    return ptrain::simt::atomically(                                                                                  \
        p, __builtin_return_address(0), [v](T old) __attribute__((no_sanitize("thread"))) { return T(expression); }); \
  }
PTRAIN_ATOMIC(atomicAdd, old + v)
PTRAIN_ATOMIC(atomicSub, old - v)
PTRAIN_ATOMIC(atomicMax, old < v ? v : old)
PTRAIN_ATOMIC(atomicMin, v < old ? v : old)
PTRAIN_ATOMIC(atomicAnd, old& v)
PTRAIN_ATOMIC(atomicOr, old | v)
PTRAIN_ATOMIC(atomicExch, (void(old), v))
#undef PTRAIN_ATOMIC
template <class T>
[[gnu::noinline, gnu::no_sanitize("thread")]] T atomicCAS(T* p, std::type_identity_t<T> expected, std::type_identity_t<T> v) {
  return ptrain::simt::atomically(
      p, __builtin_return_address(0), [=](T old) __attribute__((no_sanitize("thread"))) { return old == expected ? v : old; });
}
inline void __threadfence() {}  // threads take turns: what one wrote the next one sees
inline void __threadfence_block() {}

// Intrinsics. The fast ones are as exact as the slow ones here.
template <class T>
T __ldg(const T* p) {
  return *p;
}
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float x, float y) { return x / y; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
// One rounding each, never fused: these files are compiled with -ffp-contract=off.
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fsub_rn(float x, float y) { return x - y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline float __fsqrt_rn(float x) { return std::sqrt(x); }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline unsigned __umulhi(unsigned x, unsigned y) { return unsigned(uint64_t(x) * y >> 32); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(unsigned(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }

// Shared memory, as in launch.cuh.
#define PTRAIN_SHARED(T, name, ...)                                                                        \
  using name##_type = ::std::type_identity_t<T> __VA_ARGS__;                                               \
  static constinit ::ptrain::simt::SharedVariable name##_place{sizeof(name##_type), alignof(name##_type)}; \
  name##_type& name = *static_cast<name##_type*>(name##_place.get())
#define PTRAIN_DYNAMIC_SHARED(T, name) T* name = static_cast<T*>(::ptrain::simt::dynamic_shared())

namespace ptrain::cuda {

// The grid is put on the stream like any other work; the arguments are copied now.
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, A&&... args) {
  static_assert(sizeof...(P) == sizeof...(A), "as many arguments as the kernel has parameters");
  using Values = std::tuple<std::remove_const_t<P>...>;
  simt::enqueue(stream, [kernel, grid, block, shared_bytes, stream, values = Values(static_cast<P>(args)...)]() mutable {
    struct Call {
      void (*kernel)(P...);
      Values& values;
    } call{kernel, values};
    simt::run_grid(
        {grid, block, shared_bytes, simt::order_of(stream)},
        [](void* p) {
          Call& c = *static_cast<Call*>(p);
          std::apply(c.kernel, c.values);
        },
        &call);
  });
}

}  // namespace ptrain::cuda
