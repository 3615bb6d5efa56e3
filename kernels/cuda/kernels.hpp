// defines: the launchers of our own kernels, one .cu a kernel or family. What each computes stands in kernels/backend.hpp.
//
// They take the shapes of the contract and buffers on the device (float32, float16, bfloat16; biases, statistics, losses and optimizer
// state float32), choose the type, put their kernels on `stream` and return. Empty input: nothing happens. Those that need working
// memory take it from `exec.scratch()`; the stream is then that exec's.
#pragma once

#include <cuda_runtime.h>

#include "kernels/backend.hpp"

namespace ptrain::cuda {

// fill.cu, cast.cu, transpose.cu, random.cu
void fill(double value, Buffer y, cudaStream_t stream);
void cast(Buffer x, Buffer y, cudaStream_t stream);  // any two of float32, float16, bfloat16, int32, uint8
// out[j, i] = in[i, j] · scale[j], in being rows × columns; no scale: 1. From HWIO kernels [r·s·c, k] to cuDNN's [k, r·s·c] and back.
// in and out may differ in type.
void transpose(int64_t rows, int64_t columns, Buffer in, Buffer scale, Into out, cudaStream_t stream);
void random_uniform(uint64_t seed, uint32_t layer, double low, double high, Buffer y, cudaStream_t stream);

// elementwise.cu: y = act(x), dx, y = act(a + b), y += factor · x
void act_forward(Act act, Buffer x, Buffer y, cudaStream_t stream);
void act_backward(Act act, Buffer y, Buffer dy, Into dx, cudaStream_t stream);
void add_act(Act act, Buffer a, Buffer b, Buffer y, cudaStream_t stream);
void add_scaled(double factor, Buffer x, Buffer y, cudaStream_t stream);  // x and y may differ in type

// bias.cu: y = act(x + b [+ residual]), y may be x; db = column sums
void bias_act(RowShape s, Act act, Buffer x, Buffer b, Buffer residual, Buffer y, cudaStream_t stream);
void bias_backward(RowShape s, Buffer dy, Into db, Exec& exec, cudaStream_t stream);

// scale_shift.cu
void scale_shift_act(const ScaleShiftShape& s, Buffer x, Buffer scale, Buffer shift, Buffer y, cudaStream_t stream);

// norm_train.cu, norm_infer.cu, norm_backward.cu
void norm_train_forward(const NormShape& s, const NormTrain& t, Exec& exec, cudaStream_t stream);
// y = act(gamma · (x − mean) · inv_std + beta); inv_std from `inv_std` or, when that is absent, from `variance`.
void norm_apply(const NormShape& s, Buffer x, Buffer gamma, Buffer beta, Buffer mean, Buffer inv_std, Buffer variance, Buffer y,
                cudaStream_t stream);
void norm_infer_forward(const NormShape& s, const NormInfer& t, cudaStream_t stream);
void norm_train_backward(const NormShape& s, const NormBackward& t, Exec& exec, cudaStream_t stream);
void norm_infer_backward(const NormShape& s, const NormBackward& t, Exec& exec, cudaStream_t stream);

// depthwise_forward.cu: y = act(conv(x, w) [+ shift] [+ residual]); empty buffers are left out.
void depthwise_forward(const DepthwiseShape& d, Act act, Buffer x, Buffer w, Buffer shift, Buffer residual, Buffer y, cudaStream_t stream);
// depthwise_backward_data.cu, depthwise_backward_filter.cu
void depthwise_backward_data(const DepthwiseShape& d, Buffer dy, Buffer w, Into dx, cudaStream_t stream);
void depthwise_backward_filter(const DepthwiseShape& d, Buffer x, Buffer dy, Into dw, Exec& exec, cudaStream_t stream);
// scale_channels.cu: out[i, j] = in[i, j] · scale[j], in being rows × columns: batch norm folded into depthwise weights
void scale_channels(int64_t rows, int64_t columns, Buffer in, Buffer scale, Buffer out, cudaStream_t stream);

// zero_pad.cu, copy_channels.cu
void zero_pad_forward(const PadShape& s, Buffer x, Buffer y, cudaStream_t stream);
void zero_pad_backward(const PadShape& s, Buffer dy, Into dx, cudaStream_t stream);
void copy_channels(const ChannelCopy& s, Buffer from, Into to, cudaStream_t stream);

// max_pool.cu, avg_pool.cu, global_avg_pool.cu
void max_pool_forward(const PoolShape& s, Buffer x, Buffer y, Buffer argmax, Act x_act, cudaStream_t stream);  // argmax may be empty
void max_pool_backward(const PoolShape& s, Buffer argmax, Buffer dy, Into dx, cudaStream_t stream);
void avg_pool_forward(const PoolShape& s, Buffer x, Buffer y, cudaStream_t stream);
void avg_pool_backward(const PoolShape& s, Buffer dy, Into dx, cudaStream_t stream);
void global_avg_pool_forward(int64_t n, RowShape image, Buffer x, Buffer y, cudaStream_t stream);
void global_avg_pool_backward(int64_t n, RowShape image, Buffer dy, Into dx, cudaStream_t stream);

// dropout.cu
void dropout(const DropoutShape& s, Buffer x, Buffer samples, Buffer epoch, Into y, cudaStream_t stream);

// softmax.cu
void softmax(SoftmaxShape s, Buffer logits, Buffer p, cudaStream_t stream);
void softmax_cross_entropy_forward(SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses, Into loss,
                                   cudaStream_t stream);
void softmax_cross_entropy_backward(SoftmaxShape s, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss, Into dlogits,
                                    cudaStream_t stream);

// sum_squares.cu: factor · Σ x²
void sum_squares(double factor, Buffer x, Into sum, Exec& exec, cudaStream_t stream);

// optimizer.cu, loss_scale.cu. The slots are host memory: they travel in the arguments of the launches.
void optimizer_step(const OptimizerRule& rule, std::span<const OptimizerSlot> slots, const StepState& state, Exec& exec,
                    cudaStream_t stream);
void unscale(std::span<const OptimizerSlot> slots, Buffer scale, Buffer finite, cudaStream_t stream);
void update_loss_scale(const LossScaleState& s, Buffer finite, cudaStream_t stream);
void all_finite(Buffer x, Buffer finite, cudaStream_t stream);

// augment.cu, resize.cu. `images` is device memory, one an image of the batch.
void augment(const AugmentShape& s, const AugmentImage* images, Buffer x, const Preprocess& pre, Buffer y, Exec& exec, cudaStream_t stream);
void resize_bilinear(const ResizeShape& s, Buffer x, Buffer y, cudaStream_t stream);

}  // namespace ptrain::cuda
