#include "kernels/meta/meta.hpp"

#include <atomic>
#include <limits>

namespace ptrain::meta {
namespace {

class MetaBackend final : public Backend {
 public:
  std::string name() const override { return "meta"; }
  bool supports(DType) const override { return true; }
  bool is_host() const override { return false; }
  std::unique_ptr<Exec> make_exec(int) override { return std::make_unique<MetaExec>(); }

  // Addresses that nobody may follow: only their being different counts.
  void* allocate(int64_t bytes) override { return reinterpret_cast<void*>(next_address_.fetch_add(uintptr_t(bytes) + 64)); }
  void release(void*, int64_t) noexcept override {}
  MemoryInfo memory_info() const override { return {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::max()}; }

 protected:
  // Notes one operation: each buffer is moved once.
  template <class... Buffers>
  static void note(Exec& e, const char* op, int64_t macs, const Buffers&... buffers) {
    static_cast<MetaExec&>(e).costs.push_back({e.label, op, macs, (buffers.bytes() + ... + 0)});
  }

  template <class... Buffers>
  static void note_conv(Exec& e, const char* op, const Fused<ConvShape>& f, const Buffers&... buffers) {
    note(e, op, f.conv.macs(), buffers...);
    Cost& cost = static_cast<MetaExec&>(e).costs.back();
    cost.conv = f.conv, cost.act = f.act, cost.residual = f.residual;
  }

  void do_upload(Exec&, const void*, Buffer) override {}
  void do_download(Exec&, Buffer from, void*) override {
    fail(ErrorKind::failed, "a meta tensor of ", from.size, " elements has no values to read");
  }
  void do_copy(Exec& e, Buffer from, Buffer to) override { note(e, "copy", 0, from, to); }

  void do_conv_forward(Exec& e, const ConvShape& s, Buffer x, Buffer w, Buffer y) override { note_conv(e, "conv_forward", {s}, x, w, y); }
  void do_conv_backward_data(Exec& e, const ConvShape& s, Buffer dy, Buffer w, Into dx) override {
    note_conv(e, "conv_backward_data", {s}, dy, w, dx.buffer);
  }
  void do_conv_backward_filter(Exec& e, const ConvShape& s, Buffer x, Buffer dy, Into dw) override {
    note_conv(e, "conv_backward_filter", {s}, x, dy, dw.buffer);
  }
  void do_depthwise_forward(Exec& e, const DepthwiseShape& s, Buffer x, Buffer w, Buffer y) override {
    note(e, "depthwise_forward", s.macs(), x, w, y);
  }
  void do_depthwise_backward_data(Exec& e, const DepthwiseShape& s, Buffer dy, Buffer w, Into dx) override {
    note(e, "depthwise_backward_data", s.macs(), dy, w, dx.buffer);
  }
  void do_depthwise_backward_filter(Exec& e, const DepthwiseShape& s, Buffer x, Buffer dy, Into dw) override {
    note(e, "depthwise_backward_filter", s.macs(), x, dy, dw.buffer);
  }
  void do_conv_norm_infer(Exec& e, const ConvShape& s, const NormShape& norm, Buffer x, Buffer w, Buffer, const NormInfer& t) override {
    note_conv(e, "conv_norm_infer", {s, norm.act}, x, w, t.y);
  }
  void do_depthwise_norm_infer(Exec& e, const DepthwiseShape& s, const NormShape&, Buffer x, Buffer w, Buffer,
                               const NormInfer& t) override {
    note(e, "depthwise_norm_infer", s.macs(), x, w, t.y);
  }

  std::shared_ptr<const PackedWeights> do_pack_conv(Exec&, const Fused<ConvShape>&, Buffer, Buffer, Buffer) override {
    return std::make_shared<PackedWeights>();
  }
  std::shared_ptr<const PackedWeights> do_pack_depthwise(Exec&, const Fused<DepthwiseShape>&, Buffer, Buffer, Buffer) override {
    return std::make_shared<PackedWeights>();
  }
  void do_conv_bn_act(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedWeights&, Buffer residual, Buffer y) override {
    note_conv(e, "conv_bn_act", f, x, Buffer{nullptr, x.dtype, f.conv.w_size()}, residual, y);
  }
  void do_depthwise_bn_act(Exec& e, const Fused<DepthwiseShape>& f, Buffer x, const PackedWeights&, Buffer residual, Buffer y) override {
    note(e, "depthwise_bn_act", f.conv.macs(), x, Buffer{nullptr, x.dtype, f.conv.w_size()}, residual, y);
  }
  // What lies between the convolutions does not leave the caches.
  void do_inverted_residual(Exec& e, const InvertedResidual& r, Buffer x, Buffer residual, Buffer y) override {
    const auto weights = [&](int64_t size) { return Buffer{nullptr, x.dtype, size}; };
    const bool expands = r.expand.weights != nullptr;
    if (expands) note_conv(e, "inverted_residual", r.expand.f, x, weights(r.expand.f.conv.w_size()));
    note(e, "inverted_residual", r.depthwise.conv.macs(), expands ? Buffer{} : x, weights(r.depthwise.conv.w_size()));
    note_conv(e, "inverted_residual", r.project.f, weights(r.project.f.conv.w_size()), residual, y);
  }

  void do_dense_forward(Exec& e, const DenseShape& s, Buffer x, Buffer w, Buffer y) override {
    note(e, "dense_forward", s.macs(), x, w, y);
  }
  void do_dense_backward_data(Exec& e, const DenseShape& s, Buffer dy, Buffer w, Into dx) override {
    note(e, "dense_backward_data", s.macs(), dy, w, dx.buffer);
  }
  void do_dense_backward_filter(Exec& e, const DenseShape& s, Buffer x, Buffer dy, Into dw) override {
    note(e, "dense_backward_filter", s.macs(), x, dy, dw.buffer);
  }
  void do_bias_act_forward(Exec& e, RowShape, Act, Buffer x, Buffer b, Buffer y) override { note(e, "bias_act_forward", 0, x, b, y); }
  void do_bias_backward(Exec& e, RowShape, Buffer dy, Into db) override { note(e, "bias_backward", 0, dy, db.buffer); }

  void do_norm_train_forward(Exec& e, const NormShape&, const NormTrain& t) override { note(e, "norm_train_forward", 0, t.x, t.x, t.y); }
  void do_norm_apply(Exec& e, const NormShape&, const NormApply& t) override { note(e, "norm_apply", 0, t.x, t.y); }
  void do_norm_infer_forward(Exec& e, const NormShape&, const NormInfer& t) override { note(e, "norm_infer_forward", 0, t.x, t.y); }
  void do_norm_train_backward(Exec& e, const NormShape&, const NormBackward& t) override {
    note(e, "norm_train_backward", 0, t.x, t.x, t.dy, t.dy, t.dx.buffer);
  }
  void do_norm_infer_backward(Exec& e, const NormShape&, const NormBackward& t) override {
    note(e, "norm_infer_backward", 0, t.x, t.dy, t.y, t.dx.buffer);
  }

  void do_act_forward(Exec& e, Act, Buffer x, Buffer y) override { note(e, "act_forward", 0, x, y); }
  void do_act_backward(Exec& e, Act, Buffer y, Buffer dy, Into dx) override { note(e, "act_backward", 0, y, dy, dx.buffer); }
  void do_add_act(Exec& e, Act, Buffer a, Buffer b, Buffer y) override { note(e, "add_act", 0, a, b, y); }
  void do_add_scaled(Exec& e, double, Buffer x, Buffer y) override { note(e, "add_scaled", 0, x, y, y); }
  void do_scale_shift_act(Exec& e, const ScaleShiftShape&, Buffer, Buffer, Buffer, Buffer y) override {
    note(e, "scale_shift_act", 0, y, y);
  }
  void do_dropout(Exec& e, const DropoutShape&, Buffer x, Buffer, Buffer, Into y) override { note(e, "dropout", 0, x, y.buffer); }
  void do_cast(Exec& e, Buffer x, Buffer y) override { note(e, "cast", 0, x, y); }
  void do_fill(Exec& e, double, Buffer y) override { note(e, "fill", 0, y); }
  void do_random_uniform(Exec& e, uint64_t, uint32_t, double, double, Buffer y) override { note(e, "random_uniform", 0, y); }

  void do_zero_pad_forward(Exec& e, const PadShape&, Buffer x, Buffer y) override { note(e, "zero_pad_forward", 0, x, y); }
  void do_zero_pad_backward(Exec& e, const PadShape&, Buffer dy, Into dx) override { note(e, "zero_pad_backward", 0, dy, dx.buffer); }
  void do_copy_channels(Exec& e, const ChannelCopy& s, Buffer from, Into) override {
    const Buffer moved{nullptr, from.dtype, s.rows * s.count};
    note(e, "copy_channels", 0, moved, moved);
  }
  void do_max_pool_forward(Exec& e, const PoolShape&, Buffer x, Buffer y, Buffer argmax, Act) override {
    note(e, "max_pool_forward", 0, x, y, argmax);
  }
  void do_max_pool_backward(Exec& e, const PoolShape&, Buffer argmax, Buffer dy, Into dx) override {
    note(e, "max_pool_backward", 0, argmax, dy, dx.buffer);
  }
  void do_avg_pool_forward(Exec& e, const PoolShape&, Buffer x, Buffer y) override { note(e, "avg_pool_forward", 0, x, y); }
  void do_avg_pool_backward(Exec& e, const PoolShape&, Buffer dy, Into dx) override { note(e, "avg_pool_backward", 0, dy, dx.buffer); }
  void do_global_avg_pool_forward(Exec& e, int64_t, RowShape, Buffer x, Buffer y) override { note(e, "global_avg_pool_forward", 0, x, y); }
  void do_global_avg_pool_backward(Exec& e, int64_t, RowShape, Buffer dy, Into dx) override {
    note(e, "global_avg_pool_backward", 0, dy, dx.buffer);
  }

  void do_softmax(Exec& e, SoftmaxShape, Buffer logits, Buffer p) override { note(e, "softmax", 0, logits, p); }
  void do_softmax_cross_entropy_forward(Exec& e, SoftmaxShape, Buffer logits, Buffer, Buffer, Buffer p, Buffer, Into) override {
    note(e, "softmax_cross_entropy_forward", 0, logits, p);
  }
  void do_softmax_cross_entropy_backward(Exec& e, SoftmaxShape, Buffer p, Buffer, Buffer, Buffer, Into dlogits) override {
    note(e, "softmax_cross_entropy_backward", 0, p, dlogits.buffer);
  }
  void do_sum_squares(Exec& e, double, Buffer x, Into) override { note(e, "sum_squares", 0, x); }

  void do_optimizer_step(Exec& e, const OptimizerRule& rule, std::span<const OptimizerSlot> slots, const StepState&) override {
    for (const OptimizerSlot& s : slots) {
      note(e, "optimizer_step", 0, s.w, s.w, s.dw);
      for (int i = 0; i < rule.states(); ++i) note(e, "optimizer_step", 0, s.state[i], s.state[i]);
    }
  }
  void do_unscale(Exec& e, std::span<const OptimizerSlot> slots, Buffer, Buffer) override {
    for (const OptimizerSlot& s : slots) note(e, "unscale", 0, s.dw, s.dw);
  }
  void do_update_loss_scale(Exec& e, const LossScaleState& s, Buffer) override { note(e, "update_loss_scale", 0, s.scale); }
  void do_all_finite(Exec& e, Buffer x, Buffer) override { note(e, "all_finite", 0, x); }

  void do_augment(Exec& e, const AugmentShape&, std::span<const AugmentImage>, Buffer x, const Preprocess&, Buffer y) override {
    note(e, "augment", 0, x, y);
  }
  void do_resize_bilinear(Exec& e, const ResizeShape&, Buffer x, Buffer y) override { note(e, "resize_bilinear", 0, x, y); }

 private:
  std::atomic<uintptr_t> next_address_{64};
};

}  // namespace
}  // namespace ptrain::meta

namespace ptrain {
std::shared_ptr<Backend> make_meta_backend() { return std::make_shared<meta::MetaBackend>(); }
}  // namespace ptrain
