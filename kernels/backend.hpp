// defines: Backend, the operations of one device
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/augment.hpp"
#include "kernels/dtype.hpp"
#include "kernels/exec.hpp"
#include "kernels/optimizer.hpp"
#include "kernels/philox.hpp"
#include "kernels/shapes.hpp"

namespace ptrain {

// Where a gradient goes, and whether it is added to what is there. Without a buffer it is not computed.
struct Into {
  Buffer buffer;
  Accumulate how = Accumulate::no;
  explicit operator bool() const { return bool(buffer); }
};

// The weights of a frozen convolution in the layout that the device likes best, scale and shift folded in.
class PackedWeights {
 public:
  virtual ~PackedWeights() = default;
};

// Work that was recorded once and can be given to the device again in one piece. It reads and writes the very buffers of then.
class Recording {
 public:
  virtual ~Recording() = default;
};

// A frozen convolution with what follows it: y = act(scale · conv(x, w) + shift [+ residual]). Shape is ConvShape or DepthwiseShape.
template <class Shape>
struct Fused {
  Shape conv;
  Act act = Act::none;
  bool residual = false;
};

// Sandler et al., 2018: 1×1 up (`expand`, which may be missing), depthwise, 1×1 down; each with its packed weights, and room for what lies
// between, [n, h, w, c] like the results of `expand` and `depthwise`. What is in there afterwards is undefined.
struct InvertedResidual {
  struct Pointwise {
    Fused<ConvShape> f;
    const PackedWeights* weights = nullptr;  // null: there is no such convolution
  };
  Pointwise expand;
  Fused<DepthwiseShape> depthwise;
  const PackedWeights* depthwise_weights = nullptr;
  Pointwise project;
  Buffer wide, deep;
};

struct MemoryInfo {
  int64_t total = 0, free = 0;  // bytes
};

// Training: mean and inv_std (= 1/√(variance + eps)) of the batch are kept for the backward pass; the moving statistics go to
// moving·momentum + batch·(1 − momentum), the variance being the biased one. gamma may be absent: it is 1.
struct NormTrain {
  Buffer x, gamma, beta, moving_mean, moving_variance;
  double momentum = 0.99;
  Buffer mean, inv_std, y;
};
// The y of a training pass once more, from what that pass left in mean and inv_std.
struct NormApply {
  Buffer x, gamma, beta, mean, inv_std, y;
};
// Inference: y = act(gamma · (x − mean)/√(variance + eps) + beta) with the moving statistics. Right after a convolution x is its result and
// no buffer of its own.
struct NormInfer {
  Buffer x, gamma, beta, mean, variance, y;
};
// Training takes `inv_std` of the forward pass and, when there is an activation, beta: where it passes follows from x. Inference takes
// `variance` and, when there is an activation, y; x only for dgamma. dx may be dy.
struct NormBackward {
  Buffer x, y, dy, gamma, beta, mean, inv_std, variance;
  Into dx, dgamma, dbeta;
};

// The operations of one device. Buffers live there, activations are NHWC, kernels HWIO. One floating type T per call for x, w, y
// and their gradients (a filter gradient may also be float32); biases, everything of a batch norm but x and y, losses and
// optimizer state are float32, or float64 when T is float64. Every public function checks types and sizes, then calls its do_ part.
class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string name() const = 0;  // "cpu", "cuda:0", …
  virtual bool supports(DType) const = 0;
  virtual bool is_host() const = 0;  // the host may read and write the buffers
  virtual std::unique_ptr<Exec> make_exec(int threads) = 0;

  // Memory. When there is too little: Error{device} that says how much was wanted and how much is free.
  virtual void* allocate(int64_t bytes) = 0;  // aligned to 64
  virtual void release(void* data, int64_t bytes) noexcept = 0;
  virtual MemoryInfo memory_info() const = 0;

  // What was measured in order to choose between algorithms (autotune), a line each, and the same given back: then it is not measured
  // again.
  virtual std::vector<std::string> tuned() const { return {}; }
  virtual void recall(const std::vector<std::string>& /*tuned*/) {}
  void upload(Exec&, const void* host, Buffer to);  // asynchronous where the device can; `host` must live until synchronize()
  void download(Exec&, Buffer from, void* host);    // returns when the values are there
  void copy(Exec&, Buffer from, Buffer to);         // on the device, same type and size

  // Whether the device can record. What `work` gives to this Exec is then recorded and not run, so it must not allocate, upload, download
  // or wait; what the host decides in it is decided once, and what changes from time to time must lie in buffers. The scratch of the Exec
  // is part of the recording. Error when something cannot be recorded: then nothing has happened on the device.
  virtual bool records() const { return false; }
  std::unique_ptr<Recording> record(Exec&, const std::function<void()>& work);
  void replay(Exec&, const Recording&);

  // Convolution.
  void conv_forward(Exec&, const ConvShape&, Buffer x, Buffer w, Buffer y);
  void conv_backward_data(Exec&, const ConvShape&, Buffer dy, Buffer w, Into dx);
  void conv_backward_filter(Exec&, const ConvShape&, Buffer x, Buffer dy, Into dw);
  void depthwise_forward(Exec&, const DepthwiseShape&, Buffer x, Buffer w, Buffer y);
  void depthwise_backward_data(Exec&, const DepthwiseShape&, Buffer dy, Buffer w, Into dx);
  void depthwise_backward_filter(Exec&, const DepthwiseShape&, Buffer x, Buffer dy, Into dw);
  // The forward pass (plus bias[k], which may be absent) and norm_infer_forward() in one, for training: the batch norm is frozen, w is not.
  void conv_norm_infer(Exec&, const ConvShape&, Act, double eps, Buffer x, Buffer w, Buffer bias, const NormInfer&);
  void depthwise_norm_infer(Exec&, const DepthwiseShape&, Act, double eps, Buffer x, Buffer w, Buffer bias, const NormInfer&);

  // Frozen convolution. scale and shift are float32[k] on the device; the packed weights serve any batch size n of that shape.
  std::shared_ptr<const PackedWeights> pack_conv(Exec&, const Fused<ConvShape>&, Buffer w, Buffer scale, Buffer shift);
  std::shared_ptr<const PackedWeights> pack_depthwise(Exec&, const Fused<DepthwiseShape>&, Buffer w, Buffer scale, Buffer shift);
  void conv_bn_act(Exec&, const Fused<ConvShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y);
  void depthwise_bn_act(Exec&, const Fused<DepthwiseShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y);
  // The same numbers as two or three of these calls, one after the other.
  void inverted_residual(Exec&, const InvertedResidual&, Buffer x, Buffer residual, Buffer y);

  // Dense layers: the three products, then bias and activation.
  void dense_forward(Exec&, const DenseShape&, Buffer x, Buffer w, Buffer y);
  void dense_backward_data(Exec&, const DenseShape&, Buffer dy, Buffer w, Into dx);
  void dense_backward_filter(Exec&, const DenseShape&, Buffer x, Buffer dy, Into dw);
  void bias_act_forward(Exec&, RowShape, Act, Buffer x, Buffer b, Buffer y);  // y = act(x + b); y may be x
  void bias_backward(Exec&, RowShape, Buffer dy, Into db);                    // column sums

  // Batch normalisation.
  void norm_train_forward(Exec&, const NormShape&, const NormTrain&);
  void norm_apply(Exec&, const NormShape&, const NormApply&);
  void norm_infer_forward(Exec&, const NormShape&, const NormInfer&);
  void norm_train_backward(Exec&, const NormShape&, const NormBackward&);
  void norm_infer_backward(Exec&, const NormShape&, const NormBackward&);

  // Element by element. Activations know their slope from y, so x need not be kept; dx may be dy.
  void act_forward(Exec&, Act, Buffer x, Buffer y);
  void act_backward(Exec&, Act, Buffer y, Buffer dy, Into dx);
  void add_act(Exec&, Act, Buffer a, Buffer b, Buffer y);
  void add_scaled(Exec&, double factor, Buffer x, Buffer y);  // y += factor · x
  void scale_shift_act(Exec&, const ScaleShiftShape&, Buffer x, Buffer scale, Buffer shift, Buffer y);
  // Its own backward. samples: int32[rows], epoch: int32[1].
  void dropout(Exec&, const DropoutShape&, Buffer x, Buffer samples, Buffer epoch, Into y);
  void cast(Exec&, Buffer x, Buffer y);
  void fill(Exec&, double value, Buffer y);
  void random_uniform(Exec&, uint64_t seed, uint32_t layer, double low, double high, Buffer y);  // Purpose::initial_weights

  // Moving and pooling.
  void zero_pad_forward(Exec&, const PadShape&, Buffer x, Buffer y);
  void zero_pad_backward(Exec&, const PadShape&, Buffer dy, Into dx);
  void copy_channels(Exec&, const ChannelCopy&, Buffer from, Into to);
  // `argmax` (kernels/shapes.hpp) may be empty: nobody asks for the gradient. x_act: the activation that made x, when the gradient is to
  // stop where that is flat.
  void max_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y, Buffer argmax = {}, Act x_act = Act::none);
  void max_pool_backward(Exec&, const PoolShape&, Buffer argmax, Buffer dy, Into dx);  // the first maximum takes it all
  void avg_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y);
  void avg_pool_backward(Exec&, const PoolShape&, Buffer dy, Into dx);
  void global_avg_pool_forward(Exec&, int64_t n, RowShape image, Buffer x, Buffer y);  // mean over the rows of each image
  void global_avg_pool_backward(Exec&, int64_t n, RowShape image, Buffer dy, Into dx);

  // Loss. losses[i] = weights[labels[i]] · −log p[i, labels[i]] from the logits (log-sum-exp, never clipped); `loss` gets their sum / rows.
  // backward: dlogits = dloss · weights[label] · (p − onehot) / rows.
  void softmax(Exec&, SoftmaxShape, Buffer logits, Buffer p);
  void softmax_cross_entropy_forward(Exec&, SoftmaxShape, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses,
                                     Into loss);
  void softmax_cross_entropy_backward(Exec&, SoftmaxShape, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss, Into dlogits);
  void sum_squares(Exec&, double factor, Buffer x, Into sum);  // factor · Σ x², the L2 term

  // Optimizers, each over many tensors in one call.
  void optimizer_step(Exec&, const OptimizerRule&, std::span<const OptimizerSlot>, const StepState&);
  void unscale(Exec&, std::span<const OptimizerSlot>, Buffer scale, Buffer finite);  // dw /= scale; finite = all quotients are finite
  void update_loss_scale(Exec&, const LossScaleState&, Buffer finite);
  void all_finite(Exec&, Buffer x, Buffer finite);  // int32[1]: 1 or 0

  // Images: uint8 in, the net's input out (`images` is host memory, one entry an image); bilinear as tf.image.resize, no rounding.
  void augment(Exec&, const AugmentShape&, std::span<const AugmentImage> images, Buffer x, const Preprocess&, Buffer y);
  void resize_bilinear(Exec&, const ResizeShape&, Buffer x, Buffer y);

 protected:
  virtual void do_upload(Exec&, const void* host, Buffer to) = 0;
  virtual void do_download(Exec&, Buffer from, void* host) = 0;
  virtual void do_copy(Exec&, Buffer from, Buffer to) = 0;
  virtual std::unique_ptr<Recording> do_record(Exec&, const std::function<void()>& work);
  virtual void do_replay(Exec&, const Recording&);

  virtual void do_conv_forward(Exec&, const ConvShape&, Buffer x, Buffer w, Buffer y) = 0;
  virtual void do_conv_backward_data(Exec&, const ConvShape&, Buffer dy, Buffer w, Into dx) = 0;
  virtual void do_conv_backward_filter(Exec&, const ConvShape&, Buffer x, Buffer dy, Into dw) = 0;
  virtual void do_depthwise_forward(Exec&, const DepthwiseShape&, Buffer x, Buffer w, Buffer y) = 0;
  virtual void do_depthwise_backward_data(Exec&, const DepthwiseShape&, Buffer dy, Buffer w, Into dx) = 0;
  virtual void do_depthwise_backward_filter(Exec&, const DepthwiseShape&, Buffer x, Buffer dy, Into dw) = 0;
  virtual void do_conv_norm_infer(Exec&, const ConvShape&, const NormShape&, Buffer x, Buffer w, Buffer bias,
                                  const NormInfer&);  // unless overridden: the calls,
  virtual void do_depthwise_norm_infer(Exec&, const DepthwiseShape&, const NormShape&, Buffer x, Buffer w, Buffer bias,
                                       const NormInfer&);                  // all in place
  void finish_conv_norm(Exec&, const NormShape&, Buffer bias, NormInfer);  // what comes after the convolution, in t.y

  virtual std::shared_ptr<const PackedWeights> do_pack_conv(Exec&, const Fused<ConvShape>&, Buffer w, Buffer scale, Buffer shift) = 0;
  virtual std::shared_ptr<const PackedWeights> do_pack_depthwise(Exec&, const Fused<DepthwiseShape>&, Buffer w, Buffer scale,
                                                                 Buffer shift) = 0;
  virtual void do_conv_bn_act(Exec&, const Fused<ConvShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y) = 0;
  virtual void do_depthwise_bn_act(Exec&, const Fused<DepthwiseShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y) = 0;
  virtual void do_inverted_residual(Exec&, const InvertedResidual&, Buffer x, Buffer residual, Buffer y);  // unless overridden: the calls

  virtual void do_dense_forward(Exec&, const DenseShape&, Buffer x, Buffer w, Buffer y) = 0;
  virtual void do_dense_backward_data(Exec&, const DenseShape&, Buffer dy, Buffer w, Into dx) = 0;
  virtual void do_dense_backward_filter(Exec&, const DenseShape&, Buffer x, Buffer dy, Into dw) = 0;
  virtual void do_bias_act_forward(Exec&, RowShape, Act, Buffer x, Buffer b, Buffer y) = 0;
  virtual void do_bias_backward(Exec&, RowShape, Buffer dy, Into db) = 0;

  virtual void do_norm_train_forward(Exec&, const NormShape&, const NormTrain&) = 0;
  virtual void do_norm_apply(Exec&, const NormShape&, const NormApply&) = 0;
  virtual void do_norm_infer_forward(Exec&, const NormShape&, const NormInfer&) = 0;
  virtual void do_norm_train_backward(Exec&, const NormShape&, const NormBackward&) = 0;
  virtual void do_norm_infer_backward(Exec&, const NormShape&, const NormBackward&) = 0;

  virtual void do_act_forward(Exec&, Act, Buffer x, Buffer y) = 0;
  virtual void do_act_backward(Exec&, Act, Buffer y, Buffer dy, Into dx) = 0;
  virtual void do_add_act(Exec&, Act, Buffer a, Buffer b, Buffer y) = 0;
  virtual void do_add_scaled(Exec&, double factor, Buffer x, Buffer y) = 0;
  virtual void do_scale_shift_act(Exec&, const ScaleShiftShape&, Buffer x, Buffer scale, Buffer shift, Buffer y) = 0;
  virtual void do_dropout(Exec&, const DropoutShape&, Buffer x, Buffer samples, Buffer epoch, Into y) = 0;
  virtual void do_cast(Exec&, Buffer x, Buffer y) = 0;
  virtual void do_fill(Exec&, double value, Buffer y) = 0;
  virtual void do_random_uniform(Exec&, uint64_t seed, uint32_t layer, double low, double high, Buffer y) = 0;

  virtual void do_zero_pad_forward(Exec&, const PadShape&, Buffer x, Buffer y) = 0;
  virtual void do_zero_pad_backward(Exec&, const PadShape&, Buffer dy, Into dx) = 0;
  virtual void do_copy_channels(Exec&, const ChannelCopy&, Buffer from, Into to) = 0;
  virtual void do_max_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y, Buffer argmax, Act x_act) = 0;
  virtual void do_max_pool_backward(Exec&, const PoolShape&, Buffer argmax, Buffer dy, Into dx) = 0;
  virtual void do_avg_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y) = 0;
  virtual void do_avg_pool_backward(Exec&, const PoolShape&, Buffer dy, Into dx) = 0;
  virtual void do_global_avg_pool_forward(Exec&, int64_t n, RowShape image, Buffer x, Buffer y) = 0;
  virtual void do_global_avg_pool_backward(Exec&, int64_t n, RowShape image, Buffer dy, Into dx) = 0;

  virtual void do_softmax(Exec&, SoftmaxShape, Buffer logits, Buffer p) = 0;
  virtual void do_softmax_cross_entropy_forward(Exec&, SoftmaxShape, Buffer logits, Buffer labels, Buffer class_weights, Buffer p,
                                                Buffer losses, Into loss) = 0;
  virtual void do_softmax_cross_entropy_backward(Exec&, SoftmaxShape, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss,
                                                 Into dlogits) = 0;
  virtual void do_sum_squares(Exec&, double factor, Buffer x, Into sum) = 0;

  virtual void do_optimizer_step(Exec&, const OptimizerRule&, std::span<const OptimizerSlot>, const StepState&) = 0;
  virtual void do_unscale(Exec&, std::span<const OptimizerSlot>, Buffer scale, Buffer finite) = 0;
  virtual void do_update_loss_scale(Exec&, const LossScaleState&, Buffer finite) = 0;
  virtual void do_all_finite(Exec&, Buffer x, Buffer finite) = 0;

  virtual void do_augment(Exec&, const AugmentShape&, std::span<const AugmentImage> images, Buffer x, const Preprocess&, Buffer y) = 0;
  virtual void do_resize_bilinear(Exec&, const ResizeShape&, Buffer x, Buffer y) = 0;
};

// The backends that live in this library. Each call opens a new one.
std::shared_ptr<Backend> make_reference_backend();
std::shared_ptr<Backend> make_cpu_backend();
std::shared_ptr<Backend> make_meta_backend();

}  // namespace ptrain
