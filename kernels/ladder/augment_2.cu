#include "kernels/cuda/augment.cuh"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps

// v = warped, a pixel a thread
// Layout : x is n × h × w × c of uint8, v n × h × w × 3 of float32.
// Thread : one pixel: the transform is computed once for three values, which are stored 12 bytes apart from the neighbour's.
// Memory : gathers four bytes a value, writes one.
// Exact  : one rounding an operation.
__global__ void warp_pixels_kernel(AugmentShape s, const AugmentImage* images, const uint8_t* x, float* v) {
  const int64_t i = thread_index(), pixels = s.h * s.w;
  if (i >= s.n * pixels) return;
  const int64_t n = i / pixels, pixel = i - n * pixels, row = pixel / s.w;
  const Color color = Source{s, x + n * pixels * s.c}.warped(images[n].transform, row, pixel - row * s.w);
  for (int c = 0; c < 3; ++c) v[i * 3 + c] = color.v[c];
}

// mean[image, c] = Σ v / pixels
// Layout : v is n × h × w × 3, mean [n, 3], float32.
// Thread : a block an image, each thread every 256th pixel.
// Memory : reads one value per element: a whole pass over the warped image, which step 3 does without.
// Exact  : threads add in order, the block as a tree: the same bits in every run.
__global__ void block_means_kernel(int64_t pixels, const float* v, float* mean) {
  PTRAIN_SHARED(float, shared, [32]);
  for (int c = 0; c < 3; ++c) {
    float sum = 0.f;
    for (int64_t i = threadIdx.x; i < pixels; i += kBlock) sum += v[(blockIdx.x * pixels + i) * 3 + c];
    sum = block_sum<kBlock>(sum, shared);
    if (threadIdx.x == 0) mean[blockIdx.x * 3 + c] = sum / float(pixels);
    __syncthreads();  // before the next channel takes the shared memory
  }
}

// Contrast, brightness and preprocessing of step 1 in one pass
// Layout : v and y are n × h × w × 3 of float32.
// Thread : one value, neighbouring threads neighbouring values.
// Memory : reads one value and writes one, where step 1 does both three times.
// Exact  : one rounding an operation.
__global__ void finish_kernel(int64_t n, int64_t pixels, const AugmentImage* images, const float* mean, const float* v, Preprocess pre,
                              float* y) {
  const int64_t i = thread_index(), c = i % 3, from = pre.bgr ? 2 - c : c, image = i / 3 / pixels;
  if (i >= n * pixels * 3) return;
  const AugmentImage& by = images[image];
  Rounded value = v[i - c + from];
  const Rounded m = mean[image * 3 + from];
  if (by.contrast != 1.f) value = clipped((value - m) * by.contrast + m);
  if (by.brightness != 0.f) value = clipped(value + by.brightness);
  y[i] = (value * pre.scale[c] + pre.shift[c]).v;
}

}  // namespace

void augment_2(const AugmentShape& s, const AugmentImage* images, Buffer x, const Preprocess& pre, Buffer y, Exec& exec,
               cudaStream_t stream) {
  if (y.size == 0) return;
  const int64_t pixels = s.h * s.w, values = s.n * pixels * 3;
  auto* v = static_cast<float*>(exec.scratch((values + s.n * 3) * int64_t(sizeof(float))));
  float* mean = v + values;
  launch(warp_pixels_kernel, blocks_for(s.n * pixels, kBlock), kBlock, 0, stream, s, images, x.as<uint8_t>(), v);
  launch(block_means_kernel, blocks_for(s.n, 1), kBlock, 0, stream, pixels, v, mean);
  launch(finish_kernel, blocks_for(values, kBlock), kBlock, 0, stream, s.n, pixels, images, mean, v, pre, y.as<float>());
  GPU_CHECK(cudaGetLastError());
}

// Step 3 is kernels/cuda/augment.cu.
void augment_3(const AugmentShape& s, const AugmentImage* images, Buffer x, const Preprocess& pre, Buffer y, Exec& exec,
               cudaStream_t stream) {
  augment(s, images, x, pre, y, exec, stream);
}

}  // namespace ptrain::cuda::ladder
