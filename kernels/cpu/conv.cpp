// Convolutions of the training path, by oneDNN or by Winograd. Weights come as HWIO and go to the primitive's layout in each call: they
// change in each step, and the copy costs a few per cent of the convolution.
#include "kernels/cpu/conv.hpp"

#include <chrono>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/folded_norm.hpp"
#include "kernels/cpu/pointwise.hpp"
#include "kernels/cpu/winograd.hpp"

namespace ptrain::cpu {

ConvDescs conv_descs(const OpKey& key, ConvTypes types) {
  using Tag = dnnl::memory::format_tag;
  const ConvShape& s = key.shape;
  const dnnl::memory::dims w{s.k, s.c, s.r, s.s};
  // What lies right of and below the last window is not read: that padding may be negative.
  return {.x = {{s.n, s.c, s.h, s.w}, dnnl_type(types.x), Tag::nhwc},
          .w = {w, dnnl_type(types.w), Tag::hwio},
          .any_w = {w, dnnl_type(types.w), Tag::any},
          .y = {{s.n, s.k, s.p(), s.q()}, dnnl_type(types.y), Tag::nhwc},
          .stride = {s.stride, s.stride},
          .before = {s.pad_h, s.pad_w},
          .after = {(s.p() - 1) * s.stride + s.r - s.h - s.pad_h, (s.q() - 1) * s.stride + s.s - s.w - s.pad_w}};
}

namespace {

dnnl::convolution_forward::primitive_desc forward_desc(CpuExec& exec, const ConvDescs& d) {
  return {{dnnl::prop_kind::forward_training, dnnl::algorithm::convolution_direct, d.x, d.any_w, d.y, d.stride, d.before, d.after},
          user_scratchpad(),
          exec.engine()};
}

std::unique_ptr<Operation> make_forward(CpuExec& exec, const OpKey& key) {
  const ConvDescs d = conv_descs(key);
  const auto pd = forward_desc(exec, d);
  return std::make_unique<Operation>(exec, dnnl::convolution_forward(pd), pd.scratchpad_desc(),
                                     std::vector<Operand>{{DNNL_ARG_SRC, d.x, pd.src_desc()},
                                                          {DNNL_ARG_WEIGHTS, d.w, pd.weights_desc()},
                                                          {DNNL_ARG_DST, d.y, pd.dst_desc(), Operand::written}});
}

// Two bfloat16 kernels of oneDNN 2.6 give wrong results; where they would be chosen the operands go through float32.
bool backward_data_is_wrong(const OpKey& key) {  // the last of an odd number of channels is read with its neighbour in memory
  return key.type == DType::bfloat16 && key.shape.r == 1 && key.shape.s == 1 && key.shape.k % 2 == 1;
}
bool backward_filter_is_wrong(const OpKey& key) {  // an image narrower than the stride
  return key.type == DType::bfloat16 && key.shape.w < key.shape.stride;
}

std::unique_ptr<Operation> make_backward_data(CpuExec& exec, const OpKey& key) {
  const DType in = backward_data_is_wrong(key) ? DType::float32 : key.type, out = result_type(key.how, key.type);
  const ConvDescs ours = conv_descs(key, {out, key.type, key.type}), d = conv_descs(key, {in == key.type ? out : in, in, in});
  const dnnl::convolution_backward_data::primitive_desc pd(
      {dnnl::algorithm::convolution_direct, d.x, d.any_w, d.y, d.stride, d.before, d.after}, user_scratchpad(), exec.engine(),
      forward_desc(exec, conv_descs(key, {in, in, in})));
  return std::make_unique<Operation>(exec, dnnl::convolution_backward_data(pd), pd.scratchpad_desc(),
                                     std::vector<Operand>{{DNNL_ARG_DIFF_DST, ours.y, pd.diff_dst_desc()},
                                                          {DNNL_ARG_WEIGHTS, ours.w, pd.weights_desc()},
                                                          {DNNL_ARG_DIFF_SRC, ours.x, pd.diff_src_desc(), result_role(key.how, key.type)}});
}

std::unique_ptr<Operation> make_backward_filter(CpuExec& exec, const OpKey& key) {
  const DType in = backward_filter_is_wrong(key) ? DType::float32 : key.type, out = result_type(key.how, key.filter);
  const ConvDescs ours = conv_descs(key, {key.type, out, key.type}), d = conv_descs(key, {in, in == key.type ? out : in, in});
  const dnnl::convolution_backward_weights::primitive_desc pd(
      {dnnl::algorithm::convolution_direct, d.x, d.any_w, d.y, d.stride, d.before, d.after}, user_scratchpad(), exec.engine(),
      forward_desc(exec, conv_descs(key, {in, in, in})));
  return std::make_unique<Operation>(
      exec, dnnl::convolution_backward_weights(pd), pd.scratchpad_desc(),
      std::vector<Operand>{{DNNL_ARG_SRC, ours.x, pd.src_desc()},
                           {DNNL_ARG_DIFF_DST, ours.y, pd.diff_dst_desc()},
                           {DNNL_ARG_DIFF_WEIGHTS, ours.w, pd.diff_weights_desc(), result_role(key.how, key.filter)}});
}

// Which pixels make an image is of no meaning to a window of 1×1. oneDNN is fastest with the gradient of such a w when an image has about
// two hundred: 110 GFLOP/s instead of 80 to 90 at 28×28 (AMD Zen 4; measured from 49 to 784).
ConvShape with_images_of_200(const ConvShape& s) {
  if (!is_pixelwise(s)) return s;
  const int64_t pixels = s.n * s.h * s.w;
  for (int64_t off = 0; off <= 64; ++off)
    for (const int64_t size : {196 - off, 196 + off})
      if (pixels % size == 0) return {.n = pixels / size, .h = 1, .w = size, .c = s.c, .k = s.k};
  return s;
}

OpKey conv_key(OpKind kind, const ConvShape& s, Buffer x, Buffer w, Accumulate how = Accumulate::no) {
  require_type(x.dtype);
  return {.kind = kind, .type = x.dtype, .filter = w.dtype, .how = how, .shape = s};
}

void run(Exec& e, const OpKey& key, CpuExec::Maker make, Buffer a, Buffer b, Buffer to) {
  CpuExec& exec = cpu_exec(e);
  exec.operation(key, make).run(exec, {a.data, b.data, to.data});
}

// Runs the convolution by the algorithm that was chosen for it. Only a result that is overwritten can be computed again and again.
template <class Run>
void by_best(ConvAlgorithms& algorithms, ConvUse use, const ConvShape& s, DType t, Accumulate how, Run&& run_by) {
  std::function<double(Algorithm)> seconds;
  if (how == Accumulate::no)
    seconds = [&](Algorithm a) {
      const auto start = std::chrono::steady_clock::now();
      run_by(a);
      return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    };
  run_by(algorithms.of(use, s, t, seconds));
}

}  // namespace

void CpuBackend::do_conv_forward(Exec& e, const ConvShape& s, Buffer x, Buffer w, Buffer y) {
  by_best(algorithms_, ConvUse::forward, s, x.dtype, Accumulate::no, [&](Algorithm a) {
    if (a == Algorithm::winograd) winograd_forward(e, s, {.x = x.as<const float>(), .w = w.as<const float>(), .y = y.as<float>()});
    else run(e, conv_key(OpKind::forward, s, x, w), make_forward, x, w, y);
  });
}

// In one pass where the convolution is our own; oneDNN's is followed by the batch norm (as its post-operations, scale and shift cost more).
void CpuBackend::do_conv_norm_infer(Exec& e, const ConvShape& s, const NormShape& norm, Buffer x, Buffer w, Buffer bias,
                                    const NormInfer& t) {
  if (pointwise_fits(s, x.dtype)) {
    const FoldedNorm fold(norm, bias, t);
    auto* room = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * pointwise_weights_size(s)));
    return pointwise(e, s, pack_pointwise(s, norm.act, w.as<const float>(), fold.scale.data(), fold.shift.data(), room),
                     x.as<const float>(), nullptr, t.y.as<float>());
  }
  by_best(algorithms_, ConvUse::forward, s, x.dtype, Accumulate::no, [&](Algorithm a) {
    if (a == Algorithm::winograd) {
      const FoldedNorm fold(norm, bias, t);
      winograd_forward(e, s,
                       {.x = x.as<const float>(),
                        .w = w.as<const float>(),
                        .scale = fold.scale.data(),
                        .bias = fold.shift.data(),
                        .act = norm.act,
                        .y = t.y.as<float>()});
    } else {
      run(e, conv_key(OpKind::forward, s, x, w), make_forward, x, w, t.y);
      finish_conv_norm(e, norm, bias, t);
    }
  });
}

void CpuBackend::do_conv_backward_data(Exec& e, const ConvShape& s, Buffer dy, Buffer w, Into dx) {
  by_best(algorithms_, ConvUse::backward_data, s, dy.dtype, dx.how, [&](Algorithm a) {
    if (a == Algorithm::winograd)
      winograd_forward(e, winograd_turned(s),
                       {.x = dy.as<const float>(),
                        .w = w.as<const float>(),
                        .turned = true,
                        .add = dx.how == Accumulate::yes,
                        .y = dx.buffer.as<float>()});
    else run(e, conv_key(OpKind::backward_data, s, dy, w, dx.how), make_backward_data, dy, w, dx.buffer);
  });
}

void CpuBackend::do_conv_backward_filter(Exec& e, const ConvShape& s, Buffer x, Buffer dy, Into dw) {
  by_best(algorithms_, ConvUse::backward_filter, s, x.dtype, dw.how, [&](Algorithm a) {
    if (a == Algorithm::winograd) winograd_backward_filter(e, s, x.as<const float>(), dy.as<const float>(), dw.buffer.as<float>(), dw.how);
    else run(e, conv_key(OpKind::backward_filter, with_images_of_200(s), x, dw.buffer, dw.how), make_backward_filter, x, dy, dw.buffer);
  });
}

}  // namespace ptrain::cpu
