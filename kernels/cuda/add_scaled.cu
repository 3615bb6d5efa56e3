#include <algorithm>

#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card

// y += factor · x
// Layout : x and y are flat and may differ in type: gradients in half precision are summed in float32.
// Thread : V neighbouring values, 16 bytes of the wider type; neighbouring threads take neighbouring vectors.
// Memory : reads two values and writes one per output: bound by the memory's bandwidth.
// Exact  : one fused multiply-add in float32, rounded once to the type.
template <int V, class T, class U>
__global__ void add_scaled_kernel(float factor, int64_t size, const T* x, U* y) {
  const int64_t i = thread_index() * V;
  if (i >= size) return;
  const Floats<V> f = load<V>(x, i, size);
  Floats<V> sum = load<V>(y, i, size);
  for (int k = 0; k < V; ++k) sum.v[k] = fmaf(factor, f.v[k], sum.v[k]);
  store<V>(y, i, size, sum);
}

}  // namespace

void add_scaled(double factor, Buffer x, Buffer y, cudaStream_t stream) {
  if (x.size == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    visit_device(y.dtype, [&]<class U>(U) {
      with_width<std::min(kWide<T>, kWide<U>)>({x.data, y.data}, [&]<int V>(std::integral_constant<int, V>) {
        launch(add_scaled_kernel<V, T, U>, blocks_for(div_up(x.size, V), kBlock), kBlock, 0, stream, float(factor), x.size, x.as<T>(),
               y.as<U>());
      });
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
