#include "kernels/cuda/augment.cuh"
#include "kernels/cuda/vector.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr int kBlock = 256;  // eight warps

// A pass for each thing that is to be done: v = warped; mean; v = clip((v − mean)·contrast + mean); v = clip(v + brightness);
// y[c] = v[bgr ? 2 − c : c] · scale[c] + shift[c]
// Layout : x is n × h × w × c of uint8, v and y n × h × w × 3 of float32.
// Thread : a value, neighbouring threads neighbouring values; of the mean a whole channel of an image, which is read with gaps of three
//          values by one thread.
// Memory : five passes: 9 reads and writes of four bytes per output, beside the gather.
// Exact  : one rounding an operation; the mean is added in order.
__global__ void warp_kernel(AugmentShape s, const AugmentImage* images, const uint8_t* x, float* v) {
  const int64_t i = thread_index(), pixels = s.h * s.w;
  if (i >= s.n * pixels * 3) return;
  const int64_t n = i / 3 / pixels, pixel = i / 3 - n * pixels, row = pixel / s.w;
  v[i] = Source{s, x + n * pixels * s.c}.warped(images[n].transform, row, pixel - row * s.w).v[i % 3];
}
__global__ void mean_kernel(int64_t n, int64_t pixels, const float* v, float* mean) {
  const int64_t i = thread_index();
  if (i >= n * 3) return;
  float sum = 0.f;
  for (int64_t k = 0; k < pixels; ++k) sum += v[(i / 3 * pixels + k) * 3 + i % 3];
  mean[i] = sum / float(pixels);
}
__global__ void contrast_kernel(int64_t n, int64_t pixels, const AugmentImage* images, const float* mean, float* v) {
  const int64_t i = thread_index(), image = i / 3 / pixels;
  if (i >= n * pixels * 3 || images[image].contrast == 1.f) return;
  const Rounded m = mean[image * 3 + i % 3];
  v[i] = clipped((Rounded(v[i]) - m) * images[image].contrast + m).v;
}
__global__ void brightness_kernel(int64_t n, int64_t pixels, const AugmentImage* images, float* v) {
  const int64_t i = thread_index(), image = i / 3 / pixels;
  if (i >= n * pixels * 3 || images[image].brightness == 0.f) return;
  v[i] = clipped(Rounded(v[i]) + images[image].brightness).v;
}
__global__ void preprocess_kernel(int64_t values, const float* v, Preprocess pre, float* y) {
  const int64_t i = thread_index(), c = i % 3;
  if (i < values) y[i] = (Rounded(v[pre.bgr ? i - c + 2 - c : i]) * pre.scale[c] + pre.shift[c]).v;
}

}  // namespace

void augment_1(const AugmentShape& s, const AugmentImage* images, Buffer x, const Preprocess& pre, Buffer y, Exec& exec,
               cudaStream_t stream) {
  if (y.size == 0) return;
  const int64_t pixels = s.h * s.w, values = s.n * pixels * 3;
  auto* v = static_cast<float*>(exec.scratch((values + s.n * 3) * int64_t(sizeof(float))));
  float* mean = v + values;
  const unsigned blocks = blocks_for(values, kBlock);
  launch(warp_kernel, blocks, kBlock, 0, stream, s, images, x.as<uint8_t>(), v);
  launch(mean_kernel, blocks_for(s.n * 3, kBlock), kBlock, 0, stream, s.n, pixels, v, mean);
  launch(contrast_kernel, blocks, kBlock, 0, stream, s.n, pixels, images, mean, v);
  launch(brightness_kernel, blocks, kBlock, 0, stream, s.n, pixels, images, v);
  launch(preprocess_kernel, blocks, kBlock, 0, stream, values, v, pre, y.as<float>());
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda::ladder
