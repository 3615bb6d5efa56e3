#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card

// y[row,i] = x[row,i] / (1 − rate) when unit(seed, layer, epoch, samples[row], i) ≥ rate, else 0; its own backward pass
// Layout : x and y are rows × c, samples one int32 a row, epoch one int32.
// Thread : V = 4 neighbouring values of one row, for one call of philox gives four numbers; 1 where rows are no multiple of 4.
// Memory : reads and writes one value per output; philox costs 40 multiplications for four values: bound by both alike.
// Exact  : counter-based: an element survives or not whatever its place in the batch. One fused multiply-add, one rounding.
template <int V, class T>
__global__ void dropout_kernel(DropoutShape s, float factor, const T* x, const int32_t* samples, const int32_t* epoch, T* y,
                               Accumulate how) {
  const int64_t first = thread_index() * V;
  if (first >= s.rows * s.c) return;
  const int64_t row = first / s.c;
  const auto i = uint32_t(first - row * s.c);
  const Philox4 r =
      philox(s.seed, {{uint32_t(Purpose::dropout) << 24 | (s.layer & 0xffffffu), uint32_t(*epoch), uint32_t(samples[row]), i / 4}});
  const Floats<V> f = load<V>(x, first);
  Floats<V> sum = {};
  if (how == Accumulate::yes) sum = load<V>(y, first);
  for (int k = 0; k < V; ++k) {
    const uint32_t bits = V == 4 ? r.v[k] : i % 4 == 0 ? r.v[0] : i % 4 == 1 ? r.v[1] : i % 4 == 2 ? r.v[2] : r.v[3];
    if (unit_float(bits) >= s.rate) sum.v[k] = fmaf(f.v[k], factor, sum.v[k]);
  }
  store<V>(y, first, sum);
}

}  // namespace

void dropout(const DropoutShape& s, Buffer x, Buffer samples, Buffer epoch, Into y, cudaStream_t stream) {
  if (x.size == 0) return;
  const auto factor = float(1 / (1 - double(s.rate)));  // a float32, as in Keras
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<4>({x.data, y.buffer.data}, s.c % 4 == 0, [&]<int V>(std::integral_constant<int, V>) {
      launch(dropout_kernel<V, T>, blocks_for(div_up(x.size, V), kBlock), kBlock, 0, stream, s, factor, x.as<T>(), samples.as<int32_t>(),
             epoch.as<int32_t>(), y.buffer.as<T>(), y.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
