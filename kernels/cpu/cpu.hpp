// defines: CpuBackend: oneDNN for convolutions and matrix products, vectorised loops on OpenMP threads for everything else.
// float32, and bfloat16 as the mixed precision. Results depend on the inputs and on exec.threads(), on nothing else.
#pragma once

#include "kernels/backend.hpp"
#include "kernels/cpu/conv_choice.hpp"

namespace ptrain::cpu {

struct Engine;  // oneDNN's engine (onednn.hpp), hidden so that only files that use oneDNN include it

class CpuBackend : public Backend {
 public:
  CpuBackend();
  ~CpuBackend() override;

  std::string name() const override { return "cpu"; }
  bool supports(DType) const override;  // bfloat16 where oneDNN has it (AVX-512); never float16, float64
  bool is_host() const override { return true; }
  std::unique_ptr<Exec> make_exec(int threads) override;
  void* allocate(int64_t bytes) override;
  void release(void* data, int64_t bytes) noexcept override;
  MemoryInfo memory_info() const override;
  std::vector<std::string> tuned() const override { return algorithms_.tuned(); }
  void recall(const std::vector<std::string>& lines) override { algorithms_.recall(lines); }
  ConvAlgorithms& algorithms() { return algorithms_; }

 protected:
  void do_upload(Exec&, const void* host, Buffer to) override;
  void do_download(Exec&, Buffer from, void* host) override;
  void do_copy(Exec&, Buffer from, Buffer to) override;

  void do_conv_forward(Exec&, const ConvShape&, Buffer x, Buffer w, Buffer y) override;
  void do_conv_backward_data(Exec&, const ConvShape&, Buffer dy, Buffer w, Into dx) override;
  void do_conv_backward_filter(Exec&, const ConvShape&, Buffer x, Buffer dy, Into dw) override;
  void do_depthwise_forward(Exec&, const DepthwiseShape&, Buffer x, Buffer w, Buffer y) override;
  void do_depthwise_backward_data(Exec&, const DepthwiseShape&, Buffer dy, Buffer w, Into dx) override;
  void do_depthwise_backward_filter(Exec&, const DepthwiseShape&, Buffer x, Buffer dy, Into dw) override;
  void do_conv_norm_infer(Exec&, const ConvShape&, const NormShape&, Buffer x, Buffer w, Buffer bias, const NormInfer&) override;
  void do_depthwise_norm_infer(Exec&, const DepthwiseShape&, const NormShape&, Buffer x, Buffer w, Buffer bias, const NormInfer&) override;

  std::shared_ptr<const PackedWeights> do_pack_conv(Exec&, const Fused<ConvShape>&, Buffer w, Buffer scale, Buffer shift) override;
  std::shared_ptr<const PackedWeights> do_pack_depthwise(Exec&, const Fused<DepthwiseShape>&, Buffer w, Buffer scale,
                                                         Buffer shift) override;
  void do_conv_bn_act(Exec&, const Fused<ConvShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y) override;
  void do_depthwise_bn_act(Exec&, const Fused<DepthwiseShape>&, Buffer x, const PackedWeights&, Buffer residual, Buffer y) override;
  void do_inverted_residual(Exec&, const InvertedResidual&, Buffer x, Buffer residual, Buffer y) override;

  void do_dense_forward(Exec&, const DenseShape&, Buffer x, Buffer w, Buffer y) override;
  void do_dense_backward_data(Exec&, const DenseShape&, Buffer dy, Buffer w, Into dx) override;
  void do_dense_backward_filter(Exec&, const DenseShape&, Buffer x, Buffer dy, Into dw) override;
  void do_bias_act_forward(Exec&, RowShape, Act, Buffer x, Buffer b, Buffer y) override;
  void do_bias_backward(Exec&, RowShape, Buffer dy, Into db) override;

  void do_norm_train_forward(Exec&, const NormShape&, const NormTrain&) override;
  void do_norm_apply(Exec&, const NormShape&, const NormApply&) override;
  void do_norm_infer_forward(Exec&, const NormShape&, const NormInfer&) override;
  void do_norm_train_backward(Exec&, const NormShape&, const NormBackward&) override;
  void do_norm_infer_backward(Exec&, const NormShape&, const NormBackward&) override;

  void do_act_forward(Exec&, Act, Buffer x, Buffer y) override;
  void do_act_backward(Exec&, Act, Buffer y, Buffer dy, Into dx) override;
  void do_add_act(Exec&, Act, Buffer a, Buffer b, Buffer y) override;
  void do_add_scaled(Exec&, double factor, Buffer x, Buffer y) override;
  void do_scale_shift_act(Exec&, const ScaleShiftShape&, Buffer x, Buffer scale, Buffer shift, Buffer y) override;
  void do_dropout(Exec&, const DropoutShape&, Buffer x, Buffer samples, Buffer epoch, Into y) override;
  void do_cast(Exec&, Buffer x, Buffer y) override;
  void do_fill(Exec&, double value, Buffer y) override;
  void do_random_uniform(Exec&, uint64_t seed, uint32_t layer, double low, double high, Buffer y) override;

  void do_zero_pad_forward(Exec&, const PadShape&, Buffer x, Buffer y) override;
  void do_zero_pad_backward(Exec&, const PadShape&, Buffer dy, Into dx) override;
  void do_copy_channels(Exec&, const ChannelCopy&, Buffer from, Into to) override;
  void do_max_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y, Buffer argmax, Act x_act) override;
  void do_max_pool_backward(Exec&, const PoolShape&, Buffer argmax, Buffer dy, Into dx) override;
  void do_avg_pool_forward(Exec&, const PoolShape&, Buffer x, Buffer y) override;
  void do_avg_pool_backward(Exec&, const PoolShape&, Buffer dy, Into dx) override;
  void do_global_avg_pool_forward(Exec&, int64_t n, RowShape image, Buffer x, Buffer y) override;
  void do_global_avg_pool_backward(Exec&, int64_t n, RowShape image, Buffer dy, Into dx) override;

  void do_softmax(Exec&, SoftmaxShape, Buffer logits, Buffer p) override;
  void do_softmax_cross_entropy_forward(Exec&, SoftmaxShape, Buffer logits, Buffer labels, Buffer class_weights, Buffer p, Buffer losses,
                                        Into loss) override;
  void do_softmax_cross_entropy_backward(Exec&, SoftmaxShape, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss,
                                         Into dlogits) override;
  void do_sum_squares(Exec&, double factor, Buffer x, Into sum) override;

  void do_optimizer_step(Exec&, const OptimizerRule&, std::span<const OptimizerSlot>, const StepState&) override;
  void do_unscale(Exec&, std::span<const OptimizerSlot>, Buffer scale, Buffer finite) override;
  void do_update_loss_scale(Exec&, const LossScaleState&, Buffer finite) override;
  void do_all_finite(Exec&, Buffer x, Buffer finite) override;

  void do_augment(Exec&, const AugmentShape&, std::span<const AugmentImage> images, Buffer x, const Preprocess&, Buffer y) override;
  void do_resize_bilinear(Exec&, const ResizeShape&, Buffer x, Buffer y) override;

 private:
  std::unique_ptr<Engine> engine_;
  ConvAlgorithms algorithms_;
};

}  // namespace ptrain::cpu
