#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps

// y[n,p,q,c] = Σ_{r,s} x[n, p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c]
// Layout : NHWC, w is [r,s,c], float32.
// Thread : one output, counted with the pixels innermost: neighbouring threads are c values apart, so each of a warp's 32 loads and
//          stores is a 32-byte sector of its own, of which four bytes are used.
// Memory : reads r·s values of x and of w per output, writes one.
// Exact  : float32 sums in r,s order: the same bits in every run.
__global__ void depthwise_1_kernel(DepthwiseShape d, int64_t height, int64_t width, const float* x, const float* w, float* y) {
  const int64_t i = thread_index();
  if (i >= d.n * d.c * height * width) return;
  const int64_t q = i % width, p = i / width % height, c = i / width / height % d.c, n = i / width / height / d.c;
  float sum = 0.f;
  for (int64_t r = 0; r < d.r; ++r)
    for (int64_t s = 0; s < d.s; ++s) {
      const int64_t h = p * d.stride - d.pad_h + r, v = q * d.stride - d.pad_w + s;
      if (h < 0 || h >= d.h || v < 0 || v >= d.w) continue;
      sum = fmaf(x[((n * d.h + h) * d.w + v) * d.c + c], w[(r * d.s + s) * d.c + c], sum);
    }
  y[((n * height + p) * width + q) * d.c + c] = sum;
}

}  // namespace

void depthwise_1(const DepthwiseShape& d, Buffer x, Buffer w, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  launch(depthwise_1_kernel, blocks_for(d.y_size(), kBlock), kBlock, 0, stream, d, d.p(), d.q(), x.as<float>(), w.as<float>(),
         y.as<float>());
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
