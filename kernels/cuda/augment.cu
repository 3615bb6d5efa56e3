#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;         // eight warps
constexpr int64_t kStretch = 2048;  // pixels of an image whose sums one block makes: eight a thread

// Where a coordinate outside [0, length − 1] is read instead, in Keras' order of operations. `constant` leaves it outside.
__device__ float inside(FillMode fill, Rounded at, int64_t size) {
  const Rounded length = float(size), last = float(size - 1), period = Rounded(2.f) * length;
  if (fill == FillMode::constant) return at.v;
  if (size > 1 && fill == FillMode::reflect) {  // d c b a | a b c d | d c b a
    if (at.v < 0.f) {
      if (at.v < period.v) at = at + period * truncf((Rounded(-at.v) / period).v);
      at = at.v < -length.v ? at + period : Rounded(-at.v) - 1.f;
    } else if (at.v > last.v) {
      at = at - period * truncf((at / period).v);
      if (at.v >= length.v) at = period - at - 1.f;
    }
  }
  if (size > 1 && fill == FillMode::wrap) {  // a b c d | a b c d | a b c d
    if (at.v < 0.f) at = at + length * (Rounded(truncf((Rounded(-at.v) / last).v)) + 1.f);
    else if (at.v > last.v) at = at - length * truncf((at / last).v);
  }
  return at.v < 0.f ? 0.f : at.v > last.v ? last.v : at.v;
}

// Three values of a pixel, or one three times.
struct Color {
  float v[3];
};

// One image h × w × c.
struct Source {
  const AugmentShape& s;
  const uint8_t* image;

  // Whole-numbered y and x; outside the image the fill value.
  __device__ Rounded pixel(float y, float x, int c) const {
    if (!(y >= 0.f && y < float(s.h) && x >= 0.f && x < float(s.w))) return s.fill_value;
    return float(image[(int64_t(y) * s.w + int64_t(x)) * s.c + c]);
  }
  __device__ float at(float y, float x, int c) const {
    if (s.interpolation == Interpolation::nearest) return pixel(roundf(y), roundf(x), c).v;
    const float top = floorf(y), left = floorf(x);
    const Rounded down = Rounded(y) - top, right = Rounded(x) - left;
    const Rounded p0 = pixel(top, left, c), p1 = pixel(top, left + 1.f, c), p2 = pixel(top + 1.f, left, c),
                  p3 = pixel(top + 1.f, left + 1.f, c);
    const Rounded upper = p0 + (p1 - p0) * right, lower = p2 + (p3 - p2) * right;
    return (upper + (lower - upper) * down).v;
  }
  // Output pixel (column, row) shows the image at ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k), k = c0·x + c1·y + 1.
  __device__ Color warped(const Transform& t, int64_t row, int64_t column) const {
    Color color;
    const auto channels = int(s.c);
    if (t.a0 == 1.f && t.a1 == 0.f && t.a2 == 0.f && t.b0 == 0.f && t.b1 == 1.f && t.b2 == 0.f && t.c0 == 0.f && t.c1 == 0.f) {
      for (int c = 0; c < 3; ++c) color.v[c] = float(image[(row * s.w + column) * s.c + (c < channels ? c : 0)]);
      return color;
    }
    const Rounded x = float(column), y = float(row), k = Rounded(t.c0) * x + Rounded(t.c1) * y + 1.f;
    const Rounded u = Rounded(t.a0) * x + Rounded(t.a1) * y + t.a2, v = Rounded(t.b0) * x + Rounded(t.b1) * y + t.b2;
    const float from_x = inside(s.fill, u / k, s.w), from_y = inside(s.fill, v / k, s.h);
    for (int c = 0; c < 3; ++c) color.v[c] = k.v == 0.f ? s.fill_value : c < channels ? at(from_y, from_x, c) : color.v[0];
    return color;
  }
};

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
  const Source source{s, x + n * pixels * s.c};
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

__device__ Rounded clipped(Rounded v) { return v.v < 0.f ? 0.f : v.v > 255.f ? 255.f : v.v; }

// v = clip((warped − m)·contrast + m), v = clip(v + brightness), y[c] = v[bgr ? 2 − c : c] · scale[c] + shift[c]
// Layout : x is n × h × w × c of uint8 (c = 1 or 3), y is n × h × w × 3 of T.
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
    const Color color = Source{s, x + n * pixels * s.c}.warped(by.transform, row, i - row * s.w);
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
