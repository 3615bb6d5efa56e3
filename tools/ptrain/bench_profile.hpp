// defines: ProfiledCpu, the cpu backend with a clock around each operation of inference
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "kernels/cpu/cpu.hpp"

namespace ptrain::cli {

// For one thread. `seconds` adds up by layer: the label of the Exec.
class ProfiledCpu final : public cpu::CpuBackend {
 public:
  std::map<std::string, double> seconds;

 protected:
  void do_copy(Exec& e, Buffer a, Buffer b) override { timed(e, [&] { CpuBackend::do_copy(e, a, b); }); }
  void do_conv_forward(Exec& e, const ConvShape& s, Buffer x, Buffer w, Buffer y) override { timed(e, [&] { CpuBackend::do_conv_forward(e, s, x, w, y); }); }
  void do_conv_bn_act(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedWeights& w, Buffer r, Buffer y) override { timed(e, [&] { CpuBackend::do_conv_bn_act(e, f, x, w, r, y); }); }
  void do_depthwise_bn_act(Exec& e, const Fused<DepthwiseShape>& f, Buffer x, const PackedWeights& w, Buffer r, Buffer y) override {
    timed(e, [&] { CpuBackend::do_depthwise_bn_act(e, f, x, w, r, y); });
  }
  void do_norm_infer_forward(Exec& e, const NormShape& s, const NormInfer& n) override { timed(e, [&] { CpuBackend::do_norm_infer_forward(e, s, n); }); }
  void do_act_forward(Exec& e, Act a, Buffer x, Buffer y) override { timed(e, [&] { CpuBackend::do_act_forward(e, a, x, y); }); }
  void do_add_act(Exec& e, Act act, Buffer a, Buffer b, Buffer y) override { timed(e, [&] { CpuBackend::do_add_act(e, act, a, b, y); }); }
  void do_scale_shift_act(Exec& e, const ScaleShiftShape& s, Buffer x, Buffer a, Buffer b, Buffer y) override { timed(e, [&] { CpuBackend::do_scale_shift_act(e, s, x, a, b, y); }); }
  void do_zero_pad_forward(Exec& e, const PadShape& s, Buffer x, Buffer y) override { timed(e, [&] { CpuBackend::do_zero_pad_forward(e, s, x, y); }); }
  void do_copy_channels(Exec& e, const ChannelCopy& s, Buffer from, Into to) override { timed(e, [&] { CpuBackend::do_copy_channels(e, s, from, to); }); }
  void do_max_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y) override { timed(e, [&] { CpuBackend::do_max_pool_forward(e, s, x, y); }); }
  void do_avg_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y) override { timed(e, [&] { CpuBackend::do_avg_pool_forward(e, s, x, y); }); }
  void do_global_avg_pool_forward(Exec& e, int64_t n, RowShape s, Buffer x, Buffer y) override { timed(e, [&] { CpuBackend::do_global_avg_pool_forward(e, n, s, x, y); }); }
  void do_augment(Exec& e, const AugmentShape& s, std::span<const AugmentImage> i, Buffer x, const Preprocess& p, Buffer y) override {
    timed(e, [&] { CpuBackend::do_augment(e, s, i, x, p, y); });
  }

 private:
  template <class F>
  void timed(const Exec& e, F&& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    seconds[e.label] += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
};

}  // namespace ptrain::cli
