#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

// y = act(x + b[c] [+ residual])
// Layout : x, residual, y are rows × c of T; b is [c] in float32. y may be x.
// Thread : V neighbouring channels of every row of its walker; b stays in registers.
// Memory : reads one value (two with a residual) and writes one per output: bound by the memory's bandwidth.
// Exact  : sums in float32, rounded once to the type.
template <int V, class T>
__global__ void bias_act_kernel(RowShape s, Act act, const T* x, const float* b, const T* residual, T* y) {
  const int64_t c = first_channel<V>();
  if (c >= s.c) return;
  const Floats<V> bias = load<V>(b, c);
  for (int64_t row = first_row(); row < s.rows; row += row_step()) {
    const int64_t i = row * s.c + c;
    Floats<V> f = load<V>(x, i);
    for (int k = 0; k < V; ++k) f.v[k] += bias.v[k];
    if (residual) {
      const Floats<V> add = load<V>(residual, i);
      for (int k = 0; k < V; ++k) f.v[k] += add.v[k];
    }
    for (int k = 0; k < V; ++k) f.v[k] = activated(act, f.v[k]);
    store<V>(y, i, f);
  }
}

}  // namespace

void bias_act(RowShape s, Act act, Buffer x, Buffer b, Buffer residual, Buffer y, cudaStream_t stream) {
  if (s.size() == 0) return;
  const void* add = residual ? residual.data : nullptr;
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kPerChannel>({x.data, b.data, add, y.data}, s.c % kPerChannel == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.rows, s.c, V);
      launch(bias_act_kernel<V, T>, t.grid, t.block, 0, stream, s, act, x.as<T>(), b.as<float>(), static_cast<const T*>(add), y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
