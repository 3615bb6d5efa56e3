#include <algorithm>
#include <limits>

#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card

// y[i] = value
// Layout : y is flat.
// Thread : V neighbouring values, 16 bytes where the address allows; neighbouring threads take neighbouring vectors.
// Memory : writes one value per output: bound by the memory's bandwidth.
// Exact  : yes.
template <int V, class T>
__global__ void fill_kernel(T value, int64_t size, T* y) {
  const int64_t i = thread_index() * V;
  if (i + V <= size) {
    Vec<T, V> all;
    for (int k = 0; k < V; ++k) all.v[k] = value;
    store_bits<V>(y + i, all);
  } else {
    for (int64_t j = i; j < size; ++j) y[j] = value;
  }
}

template <class T>
void fill_with(T value, Buffer y, cudaStream_t stream) {
  with_width<kWide<T>>({y.data}, [&]<int V>(std::integral_constant<int, V>) {
    launch(fill_kernel<V, T>, blocks_for(div_up(y.size, V), kBlock), kBlock, 0, stream, value, y.size, y.as<T>());
  });
}

// Integers: towards zero, cut to the range of the type.
template <class T>
T cut(double v) {
  return v != v ? T(0) : T(std::clamp(v, double(std::numeric_limits<T>::min()), double(std::numeric_limits<T>::max())));
}

}  // namespace

void fill(double value, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  if (y.dtype == DType::int32) fill_with(cut<int32_t>(value), y, stream);
  else if (y.dtype == DType::uint8) fill_with(cut<uint8_t>(value), y, stream);
  else visit_device(y.dtype, [&]<class T>(T) { fill_with(T(float(value)), y, stream); });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
