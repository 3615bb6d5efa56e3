#include "kernels/cuda/augment.cuh"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;         // eight warps
constexpr int64_t kStretch = 2048;  // pixels of an image whose sums one block makes: eight a thread

// partial[image, part, c] = Σ of the warped channel over one stretch of the image, for images whose contrast changes
// Layout : x is n × h × w × c of uint8, partial is [n, parts, 3] in float32.
// Thread : every 256th pixel of the stretch; neighbouring threads take neighbouring pixels, which lie near each other in the source.
// Memory : gathers four bytes a value, mostly from L1. It is read again by the second pass: an image of bytes is an eighth of a warped one
//          in float32 written and read back.
// Exact  : each thread adds in order, the block as a tree: the same bits in every run and on every card.
__global__ void augment_sums_kernel(AugmentShape s, int64_t parts, const AugmentImage* images, const uint8_t* x, float* partial) {
  PTRAIN_SHARED(float, shared, [32]);
  const int64_t n = blockIdx.x / parts, part = blockIdx.x - n * parts, pixels = s.h * s.w;
  const AugmentImage& by = images[n];
  if (by.contrast == 1.f) return;  // the whole block
  const Source source{s, x + s.source(n, by) * pixels * s.c};
  Color sum = {};
  for (int64_t i = part * kStretch + threadIdx.x; i < (part + 1) * kStretch && i < pixels; i += kBlock) {
    const int64_t row = i / s.w;
    const Color color = source.warped(by.transform, row, i - row * s.w);
    for (int c = 0; c < 3; ++c) sum.v[c] += color.v[c];
  }
  for (int c = 0; c < 3; ++c) {
    const float total = block_sum<kBlock>(sum.v[c], shared);
    if (threadIdx.x == 0) partial[blockIdx.x * int64_t(3) + c] = total;
    __syncthreads();  // before the next channel takes the shared memory
  }
}

// mean[image, c] = Σ partial / pixels
// Layout : partial is [n, parts, 3], mean is [n, 3], both float32.
// Thread : a warp a mean, a lane every 32nd part.
// Memory : reads `parts` values per output: kilobytes.
// Exact  : each lane adds in order, the warp as a tree: the same bits in every run.
__global__ void augment_means_kernel(int64_t n, int64_t parts, float pixels, const AugmentImage* images, const float* partial,
                                     float* mean) {
  const int64_t i = thread_index() / 32;
  if (i >= n * 3 || images[i / 3].contrast == 1.f) return;  // the whole warp
  float sum = 0.f;
  for (int64_t part = threadIdx.x % 32; part < parts; part += 32) sum += partial[(i / 3 * parts + part) * 3 + i % 3];
  sum = warp_sum(sum);
  if (threadIdx.x % 32 == 0) mean[i] = sum / pixels;
}

// v = clip((warped − m)·contrast + m), v = clip(v + brightness), y[c] = v[bgr ? 2 − c : c] · scale[c] + shift[c]
// Layout : x is n (or s.stored) × h × w × c of uint8 (c = 1 or 3), y is n × h × w × 3 of T.
// Thread : one pixel, or two of a half type, so that a thread's results are whole words; neighbouring threads take neighbouring pixels
//          of the batch. Results are collected in shared memory and stored as 16-byte vectors.
// Memory : gathers four bytes a value, mostly from L1, and writes one value: bound by the stores.
// Exact  : one rounding an operation: the bits of the CPU backend, but for the mean, which is summed in another order.
template <class T>
__global__ void augment_kernel(AugmentShape s, bool whole, const AugmentImage* images, const float* mean, const uint8_t* x, Preprocess pre,
                               T* y) {
  constexpr int kPixels = 4 / int(sizeof(T)), kValues = 3 * kPixels;
  PTRAIN_SHARED(T, results, [kBlock * kValues]);
  const int64_t pixels = s.h * s.w, all = s.n * pixels, begin = int64_t(blockIdx.x) * kBlock * kPixels,
                mine = begin + int64_t(threadIdx.x) * kPixels;
  float values[kValues] = {};
  for (int p = 0; p < kPixels && mine + p < all; ++p) {
    const int64_t n = (mine + p) / pixels, i = mine + p - n * pixels, row = i / s.w;
    const AugmentImage& by = images[n];
    const Color color = Source{s, x + s.source(n, by) * pixels * s.c}.warped(by.transform, row, i - row * s.w);
    Rounded v[3];
    for (int c = 0; c < 3; ++c) {
      v[c] = color.v[c];
      if (by.contrast != 1.f) v[c] = clipped((v[c] - mean[n * 3 + c]) * by.contrast + mean[n * 3 + c]);
      if (by.brightness != 0.f) v[c] = clipped(v[c] + by.brightness);
    }
    for (int c = 0; c < 3; ++c) values[p * 3 + c] = ((pre.bgr ? v[2 - c] : v[c]) * pre.scale[c] + pre.shift[c]).v;
  }
  for (int k = 0; k < kValues; k += kPixels) {
    Floats<kPixels> word;
    for (int p = 0; p < kPixels; ++p) word.v[p] = values[k + p];
    store<kPixels>(results, int64_t(threadIdx.x) * kValues + k, word);
  }
  __syncthreads();
  const int64_t count = (all - begin) * 3 < kBlock * kValues ? (all - begin) * 3 : kBlock * kValues;
  T* to = y + begin * 3;
  for (int64_t i = threadIdx.x * kWide<T>; i < count; i += kBlock * kWide<T>) {
    const Vec<T, kWide<T>> vector = load_bits<kWide<T>>(results + i);
    if (whole && i + kWide<T> <= count) store_bits<kWide<T>>(to + i, vector);
    else
      for (int k = 0; k < kWide<T>; ++k)
        if (i + k < count) to[i + k] = vector.v[k];
  }
}

}  // namespace

void augment(const AugmentShape& s, const AugmentImage* images, Buffer x, const Preprocess& pre, Buffer y, Exec& exec,
             cudaStream_t stream) {
  if (y.size == 0) return;
  const int64_t pixels = s.h * s.w, parts = div_up(pixels, kStretch);
  auto* partial = static_cast<float*>(exec.scratch((parts + 1) * s.n * 3 * int64_t(sizeof(float))));
  float* mean = partial + parts * s.n * 3;
  launch(augment_sums_kernel, blocks_for(s.n * parts, 1), kBlock, 0, stream, s, parts, images, x.as<uint8_t>(), partial);
  launch(augment_means_kernel, blocks_for(s.n * 3 * 32, kBlock), kBlock, 0, stream, s.n, parts, float(pixels), images, partial, mean);
  visit_device(y.dtype, [&]<class T>(T) {
    launch(augment_kernel<T>, blocks_for(s.n * pixels, kBlock * 4 / int(sizeof(T))), kBlock, 0, stream, s, aligned({y.data}), images, mean,
           x.as<uint8_t>(), pre, y.as<T>());
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
