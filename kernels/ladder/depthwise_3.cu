#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps

// As step 1.
// Layout : NHWC, w is [r,s,c], float32; V = 4 where c and the addresses allow it, else 1.
// Thread : V neighbouring channels of one pixel: 16 bytes a load, and the index arithmetic once for four outputs.
// Memory : reads r·s values of x and of w per output (the caches hold most of them), writes one.
// Exact  : float32 sums in r,s order: the same bits in every run.
template <int V>
__global__ void depthwise_3_kernel(DepthwiseShape d, int64_t height, int64_t width, const float* x, const float* w, float* y) {
  const int64_t i = thread_index() * V;
  if (i >= d.n * d.c * height * width) return;
  const int64_t c = i % d.c, q = i / d.c % width, p = i / d.c / width % height, n = i / d.c / width / height;
  Floats<V> sum = {};
  for (int64_t r = 0; r < d.r; ++r)
    for (int64_t s = 0; s < d.s; ++s) {
      const int64_t h = p * d.stride - d.pad_h + r, v = q * d.stride - d.pad_w + s;
      if (h < 0 || h >= d.h || v < 0 || v >= d.w) continue;
      const Floats<V> a = load<V>(x, ((n * d.h + h) * d.w + v) * d.c + c), b = load<V>(w, (r * d.s + s) * d.c + c);
      for (int k = 0; k < V; ++k) sum.v[k] = fmaf(a.v[k], b.v[k], sum.v[k]);
    }
  store<V>(y, i, sum);
}

}  // namespace

void depthwise_3(const DepthwiseShape& d, Buffer x, Buffer w, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  with_width<4>({x.data, w.data, y.data}, d.c % 4 == 0, [&]<int V>(std::integral_constant<int, V>) {
    launch(depthwise_3_kernel<V>, blocks_for(d.y_size() / V, kBlock), kBlock, 0, stream, d, d.p(), d.q(), x.as<float>(), w.as<float>(),
           y.as<float>());
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
