#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card

// y[i] = low + (high − low) · unit(seed, layer, i)
// Layout : y is flat.
// Thread : four neighbouring values: one call of philox gives four numbers.
// Memory : writes one value per output. Runs once, before the first step.
// Exact  : counter-based, in double like the reference, so that every device begins with the same weights.
template <int V, class T>
__global__ void random_uniform_kernel(uint64_t seed, uint32_t layer, double low, double high, int64_t size, T* y) {
  const int64_t i = thread_index() * 4;
  if (i >= size) return;
  const Philox4 r = philox(seed, {{uint32_t(Purpose::initial_weights) << 24 | (layer & 0xffffffu), 0, 0, uint32_t(i / 4)}});
  Floats<4> f;
  for (int k = 0; k < 4; ++k) f.v[k] = float(low + (high - low) * double(unit_float(r.v[k])));
  if (V == 4 && i + 4 <= size) return store<4>(y, i, f);
  for (int k = 0; k < 4; ++k)
    if (i + k < size) y[i + k] = from_float<T>(f.v[k]);
}

}  // namespace

void random_uniform(uint64_t seed, uint32_t layer, double low, double high, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  visit_device(y.dtype, [&]<class T>(T) {
    with_width<4>({y.data}, [&]<int V>(std::integral_constant<int, V>) {
      launch(random_uniform_kernel<V, T>, blocks_for(div_up(y.size, 4), kBlock), kBlock, 0, stream, seed, layer, low, high, y.size,
             y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
