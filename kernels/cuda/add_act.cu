#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card

// y = act(a + b)
// Layout : a, b, y are flat; y may be one of the others.
// Thread : V neighbouring values, 16 bytes where the addresses allow; neighbouring threads take neighbouring vectors.
// Memory : reads two values and writes one per output: bound by the memory's bandwidth.
// Exact  : one addition in float32, rounded once to the type.
template <int V, class T>
__global__ void add_act_kernel(Act act, int64_t size, const T* a, const T* b, T* y) {
  const int64_t i = thread_index() * V;
  if (i >= size) return;
  Floats<V> f = load<V>(a, i, size);
  const Floats<V> g = load<V>(b, i, size);
  for (int k = 0; k < V; ++k) f.v[k] = activated(act, f.v[k] + g.v[k]);
  store<V>(y, i, size, f);
}

}  // namespace

void add_act(Act act, Buffer a, Buffer b, Buffer y, cudaStream_t stream) {
  if (a.size == 0) return;
  visit_device(a.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({a.data, b.data, y.data}, [&]<int V>(std::integral_constant<int, V>) {
      launch(add_act_kernel<V, T>, blocks_for(div_up(a.size, V), kBlock), kBlock, 0, stream, act, a.size, a.as<T>(), b.as<T>(), y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
