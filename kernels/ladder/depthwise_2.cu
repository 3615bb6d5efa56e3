#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps

// As step 1.
// Layout : NHWC, w is [r,s,c], float32.
// Thread : one output in memory order: neighbouring threads take neighbouring channels, so a warp's load of x, w or y is four whole
//          sectors.
// Memory : reads r·s values of x and of w per output (the caches hold most of them), writes one.
// Exact  : float32 sums in r,s order: the same bits in every run.
__global__ void depthwise_2_kernel(DepthwiseShape d, int64_t height, int64_t width, const float* x, const float* w, float* y) {
  const int64_t i = thread_index();
  if (i >= d.n * d.c * height * width) return;
  const int64_t c = i % d.c, q = i / d.c % width, p = i / d.c / width % height, n = i / d.c / width / height;
  float sum = 0.f;
  for (int64_t r = 0; r < d.r; ++r)
    for (int64_t s = 0; s < d.s; ++s) {
      const int64_t h = p * d.stride - d.pad_h + r, v = q * d.stride - d.pad_w + s;
      if (h < 0 || h >= d.h || v < 0 || v >= d.w) continue;
      sum = fmaf(x[((n * d.h + h) * d.w + v) * d.c + c], w[(r * d.s + s) * d.c + c], sum);
    }
  y[i] = sum;
}

}  // namespace

void depthwise_2(const DepthwiseShape& d, Buffer x, Buffer w, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  launch(depthwise_2_kernel, blocks_for(d.y_size(), kBlock), kBlock, 0, stream, d, d.p(), d.q(), x.as<float>(), w.as<float>(),
         y.as<float>());
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
