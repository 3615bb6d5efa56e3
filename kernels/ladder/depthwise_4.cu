#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps
constexpr int kOutputs = 4;  // of one row, a thread

// As step 1.
// Layout : NHWC, w is [r,s,c], float32; V = 4 where c and the addresses allow it, else 1.
// Thread : V neighbouring channels of four neighbouring outputs of a row. Their windows overlap: each value is loaded once and added to all
//          sums that see it, which stay in registers.
// Memory : reads ((3·stride + s)·r) / 4 values of x per output: with 3×3 windows and stride 1 half of step 3's nine; writes one.
// Exact  : float32 sums in r,s order: the same bits in every run.
template <int V>
__global__ void depthwise_4_kernel(DepthwiseShape d, int64_t height, int64_t width, int64_t across, const float* x, const float* w,
                                   float* y) {
  const int64_t i = thread_index() * V;
  if (i >= d.n * d.c * height * across) return;
  const int64_t c = i % d.c, q = i / d.c % across * kOutputs, p = i / d.c / across % height, n = i / d.c / across / height;
  Floats<V> sum[kOutputs] = {};
  for (int64_t r = 0; r < d.r; ++r) {
    const int64_t h = p * d.stride - d.pad_h + r;
    if (h < 0 || h >= d.h) continue;
    for (int64_t j = 0; j < (kOutputs - 1) * d.stride + d.s; ++j) {
      const int64_t v = q * d.stride - d.pad_w + j;
      if (v < 0 || v >= d.w) continue;
      const Floats<V> a = load<V>(x, ((n * d.h + h) * d.w + v) * d.c + c);
      PTRAIN_UNROLL
      for (int o = 0; o < kOutputs; ++o) {
        const int64_t s = j - o * d.stride;  // where in its window output o sees the value
        if (s < 0 || s >= d.s) continue;
        const Floats<V> b = load<V>(w, (r * d.s + s) * d.c + c);
        for (int k = 0; k < V; ++k) sum[o].v[k] = fmaf(a.v[k], b.v[k], sum[o].v[k]);
      }
    }
  }
  PTRAIN_UNROLL
  for (int o = 0; o < kOutputs; ++o)
    if (q + o < width) store<V>(y, ((n * height + p) * width + q + o) * d.c + c, sum[o]);
}

}  // namespace

void depthwise_4(const DepthwiseShape& d, Buffer x, Buffer w, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  const int64_t across = div_up(d.q(), kOutputs);
  with_width<4>({x.data, w.data, y.data}, d.c % 4 == 0, [&]<int V>(std::integral_constant<int, V>) {
    launch(depthwise_4_kernel<V>, blocks_for(d.n * d.p() * across * d.c / V, kBlock), kBlock, 0, stream, d, d.p(), d.q(), across,
           x.as<float>(), w.as<float>(), y.as<float>());
  });
  GPU_CHECK(cudaGetLastError());
}

// Step 5 is kernels/cuda/depthwise_forward.cu.
void depthwise_5(const DepthwiseShape& d, Buffer x, Buffer w, Buffer y, cudaStream_t stream) {
  depthwise_forward(d, Act::none, x, w, {}, {}, y, stream);
}

}  // namespace ptrain::cuda::ladder
