#include <algorithm>

#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card

// Integers: towards zero, cut to the range of the type; a NaN becomes 0. Floats: to the nearest.
template <class U>
__device__ U converted(float v) {
  if constexpr (std::is_same_v<U, int32_t>) {
    if (v != v) return 0;
    return v >= 0x1p31f ? INT32_MAX : v <= -0x1p31f ? INT32_MIN : int32_t(v);
  } else if constexpr (std::is_same_v<U, uint8_t>) {
    if (v != v) return 0;
    return v >= 255.f ? uint8_t(255) : v <= 0.f ? uint8_t(0) : uint8_t(v);
  } else {
    return from_float<U>(v);
  }
}
template <class U>
__device__ U converted(int32_t v) {
  if constexpr (std::is_same_v<U, int32_t>) return v;
  else if constexpr (std::is_same_v<U, uint8_t>) return uint8_t(v > 255 ? 255 : v < 0 ? 0 : v);
  else return from_float<U>(float(v));
}
template <class U>
__device__ U converted(uint8_t v) {
  return converted<U>(int32_t(v));
}
template <class U>
__device__ U converted(__half v) {
  return converted<U>(to_float(v));
}
template <class U>
__device__ U converted(__nv_bfloat16 v) {
  return converted<U>(to_float(v));
}

// y = x in another type
// Layout : x and y are flat.
// Thread : V neighbouring values, 16 bytes of the wider type; neighbouring threads take neighbouring vectors.
// Memory : reads and writes one value per output: bound by the memory's bandwidth.
// Exact  : floats round to nearest even; integers are cut to the range of their type.
template <int V, class T, class U>
__global__ void cast_kernel(int64_t size, const T* x, U* y) {
  const int64_t i = thread_index() * V;
  if (i >= size) return;
  if (i + V <= size) {
    const Vec<T, V> from = load_bits<V>(x + i);
    Vec<U, V> to;
    for (int k = 0; k < V; ++k) to.v[k] = converted<U>(from.v[k]);
    store_bits<V>(y + i, to);
  } else {
    for (int k = 0; k < V; ++k)
      if (i + k < size) y[i + k] = converted<U>(x[i + k]);
  }
}

template <class F>
void visit_any(DType t, F&& f) {
  if (t == DType::int32) f(int32_t{});
  else if (t == DType::uint8) f(uint8_t{});
  else visit_device(t, f);
}

}  // namespace

void cast(Buffer x, Buffer y, cudaStream_t stream) {
  if (x.size == 0) return;
  visit_any(x.dtype, [&]<class T>(T) {
    visit_any(y.dtype, [&]<class U>(U) {
      with_width<std::min(kWide<T>, kWide<U>)>({x.data, y.data}, [&]<int V>(std::integral_constant<int, V>) {
        launch(cast_kernel<V, T, U>, blocks_for(div_up(x.size, V), kBlock), kBlock, 0, stream, x.size, x.as<T>(), y.as<U>());
      });
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
