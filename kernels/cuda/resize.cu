#include <algorithm>

#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kBlock = 256;  // eight warps

// Output i lies at (i + ½) · in/out − ½ of the input: between two neighbours, or at the border.
struct Sample {
  int64_t below, above;
  Rounded share;  // of `above`
};
__device__ Sample sample(int64_t i, int64_t in, int64_t out) {
  const Rounded position = (Rounded(float(i)) + 0.5f) * (Rounded(float(in)) / float(out)) - 0.5f;
  const float below = floorf(position.v), above = ceilf(position.v);
  return {below < 0.f ? 0 : int64_t(below), int64_t(above) > in - 1 ? in - 1 : int64_t(above), position - below};
}

// y = (1 − b)·((1 − a)·x₀₀ + a·x₀₁) + b·((1 − a)·x₁₀ + a·x₁₁), a and b the shares of the right and of the lower neighbours
// Layout : x is h × w × c of uint8, y is out_h × out_w × c of float32.
// Thread : one value of every row of its walker; neighbouring threads take neighbouring values, so stores coalesce, and loads almost.
// Memory : reads four bytes and writes four per output; neighbours share their bytes in L1: bound by the memory's bandwidth.
// Exact  : one rounding an operation, in TensorFlow's order: the same bits as on the CPU.
__global__ void resize_bilinear_kernel(ResizeShape s, const uint8_t* x, float* y) {
  const int64_t i = thread_index();
  if (i >= s.out_w * s.c) return;
  const int64_t column = i / s.c, c = i - column * s.c;
  const Sample across = sample(column, s.w, s.out_w);
  const int64_t left = across.below * s.c + c, right = across.above * s.c + c;
  for (int64_t row = blockIdx.y; row < s.out_h; row += gridDim.y) {
    const Sample down = sample(row, s.h, s.out_h);
    const uint8_t *upper = x + down.below * s.w * s.c, *lower = x + down.above * s.w * s.c;
    const Rounded top = Rounded(float(upper[left])) + Rounded(float(upper[right] - upper[left])) * across.share;
    const Rounded bottom = Rounded(float(lower[left])) + Rounded(float(lower[right] - lower[left])) * across.share;
    y[row * s.out_w * s.c + i] = (top + (bottom - top) * down.share).v;
  }
}

}  // namespace

void resize_bilinear(const ResizeShape& s, Buffer x, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  constexpr int64_t kMostInY = 65535;  // blocks
  launch(resize_bilinear_kernel, dim3(blocks_for(s.out_w * s.c, kBlock), unsigned(std::min(s.out_h, kMostInY))), kBlock, 0, stream, s,
         x.as<uint8_t>(), y.as<float>());
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
