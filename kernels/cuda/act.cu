#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card

// y = act(x)
// Layout : x and y are flat.
// Thread : V neighbouring values, 16 bytes where the addresses allow; neighbouring threads take neighbouring vectors.
// Memory : reads and writes one value per output: bound by the memory's bandwidth.
// Exact  : yes.
template <int V, class T>
__global__ void act_forward_kernel(Act act, int64_t size, const T* x, T* y) {
  const int64_t i = thread_index() * V;
  if (i >= size) return;
  Floats<V> f = load<V>(x, i, size);
  for (int k = 0; k < V; ++k) f.v[k] = activated(act, f.v[k]);
  store<V>(y, i, size, f);
}

// dx = dy · act′(y); dx may be dy
// Layout : y, dy, dx are flat.
// Thread : V neighbouring values, as above. A thread reads what it overwrites before it does.
// Memory : reads two values and writes one per output (reads three to accumulate): bound by the memory's bandwidth.
// Exact  : yes; accumulation rounds once.
template <int V, class T>
__global__ void act_backward_kernel(Act act, int64_t size, const T* y, const T* dy, T* dx, Accumulate how) {
  const int64_t i = thread_index() * V;
  if (i >= size) return;
  const Floats<V> ys = load<V>(y, i, size);
  Floats<V> d = load<V>(dy, i, size);
  for (int k = 0; k < V; ++k) d.v[k] = before(act, ys.v[k], d.v[k]);
  put<V>(dx, i, size, d, how);
}

}  // namespace

void act_forward(Act act, Buffer x, Buffer y, cudaStream_t stream) {
  if (x.size == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({x.data, y.data}, [&]<int V>(std::integral_constant<int, V>) {
      launch(act_forward_kernel<V, T>, blocks_for(div_up(x.size, V), kBlock), kBlock, 0, stream, act, x.size, x.as<T>(), y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

void act_backward(Act act, Buffer y, Buffer dy, Into dx, cudaStream_t stream) {
  if (y.size == 0) return;
  visit_device(y.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({y.data, dy.data, dx.buffer.data}, [&]<int V>(std::integral_constant<int, V>) {
      launch(act_backward_kernel<V, T>, blocks_for(div_up(y.size, V), kBlock), kBlock, 0, stream, act, y.size, y.as<T>(), dy.as<T>(),
             dx.buffer.as<T>(), dx.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
