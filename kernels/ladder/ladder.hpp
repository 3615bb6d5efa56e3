// defines: the ladders: four kernels, each from the obvious one to the one in production, a step a file, all steps with one signature
//
// A step computes what the production kernel computes, in float32. What it does differently from the step before stands in `changes` and in
// the head of its file. The last step is the kernel of kernels/cuda itself.
#pragma once

#include "kernels/cuda/kernels.hpp"

namespace ptrain::cuda::ladder {

template <class F>
struct Step {
  const char* name;
  const char* changes;
  F* run;
  const char* kernel;  // its main kernel, in float32 and with aligned memory
  int threads;         // of a block of that kernel
  int registers;       // of its threads, as nvcc 13.0 compiles it for compute capability 8.0 (tests/gates/ladder)
  int arithmetic;  // float32 operations per output, counted in the formula: a sum, a product, a comparison are one, exp and a division ten
};

// y = depthwise convolution of x with w
using Depthwise = void(const DepthwiseShape& d, Buffer x, Buffer w, Buffer y, cudaStream_t stream);
Depthwise depthwise_1, depthwise_2, depthwise_3, depthwise_4, depthwise_5;
inline constexpr Step<Depthwise> kDepthwise[] = {
    {"depthwise 1 pixels", "a thread an output; neighbouring threads take neighbouring pixels, whose values lie far apart", depthwise_1,
     "depthwise_1_kernel", 256, 30, 18},
    {"depthwise 2 channels", "neighbouring threads take neighbouring channels: a warp's loads lie side by side", depthwise_2,
     "depthwise_2_kernel", 256, 30, 18},
    {"depthwise 3 vectors", "four channels a thread, 16 bytes a load: a quarter of the instructions", depthwise_3, "depthwise_3_kernel<4>",
     256, 36, 18},
    {"depthwise 4 registers", "four neighbouring outputs a thread: an input value is loaded once for all windows that see it", depthwise_4,
     "depthwise_4_kernel<4>", 256, 66, 18},
    {"depthwise 5 production", "a tile in shared memory: an input value is loaded once for a whole block", depthwise_5,
     "depthwise_forward_kernel<4, 1, float>", 256, 60, 18},
};

// Batch norm with the statistics of the batch; the steps differ in how they find these
using Norm = void(const NormShape& s, const NormTrain& t, Exec& exec, cudaStream_t stream);
Norm norm_1, norm_2, norm_3, norm_4;
inline constexpr Step<Norm> kNorm[] = {
    {"norm 1 channel a thread", "a thread a channel adds x and x² over all rows: few threads, and a difference of large sums", norm_1,
     "norm_1_kernel", 64, 25, 7},
    {"norm 2 channel a block", "a block a channel, two passes: exact, but a warp reads 32 rows at once, far apart", norm_2, "norm_2_kernel",
     256, 32, 8},
    {"norm 3 tiles", "32 channels × 8 rows a block, rows shared out over blocks: loads lie side by side; atomic sums, in any order", norm_3,
     "norm_3_kernel<1>", 256, 30, 8},
    {"norm 4 production", "Welford in one pass, vectors, partial results merged as a tree: the same bits in every run", norm_4,
     "norm_spread_kernel<4, float>", 256, 39, 11},
};

// Softmax and weighted cross entropy, forward
using CrossEntropy = void(SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses, Into loss,
                          cudaStream_t stream);
CrossEntropy cross_entropy_1, cross_entropy_2, cross_entropy_3, cross_entropy_4;
inline constexpr Step<CrossEntropy> kCrossEntropy[] = {
    {"cross_entropy 1 row a thread", "a thread a row, three passes; neighbouring threads read a row apart", cross_entropy_1,
     "cross_entropy_1_kernel", 256, 31, 40},
    {"cross_entropy 2 row a block", "a block a row: loads lie side by side; trees in shared memory with a barrier a level", cross_entropy_2,
     "cross_entropy_2_kernel", 128, 31, 40},
    {"cross_entropy 3 online", "a warp a row, shuffles instead of barriers; largest logit and sum in one pass", cross_entropy_3,
     "cross_entropy_3_kernel", 256, 32, 55},
    {"cross_entropy 4 production",
     "two passes again, the second from L1, so that a NaN stays one; the mean loss as a tree instead of atomics", cross_entropy_4,
     "cross_entropy_forward_kernel<float>", 256, 31, 40},
};

// Augmentation; `images` is device memory
using Augment = void(const AugmentShape& s, const AugmentImage* images, Buffer x, const Preprocess& pre, Buffer y, Exec& exec,
                     cudaStream_t stream);
Augment augment_1, augment_2, augment_3;
inline constexpr Step<Augment> kAugment[] = {
    {"augment 1 chained", "a pass for each of warp, mean, contrast, brightness, preprocessing, with the image in float32 between them",
     augment_1, "warp_kernel", 256, 32, 50},
    {"augment 2 fused", "one pass after the warp instead of three; means as trees", augment_2, "warp_pixels_kernel", 256, 32, 30},
    {"augment 3 production", "the warp is done twice from bytes and never stored; results leave as 16-byte vectors", augment_3,
     "augment_kernel<float>", 256, 35, 40},
};

}  // namespace ptrain::cuda::ladder
