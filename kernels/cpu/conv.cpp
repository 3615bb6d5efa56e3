// Convolutions and depthwise convolutions of the training path, by oneDNN. Weights come as HWIO (depthwise HWC) and go to the
// primitive's layout in each call: they change in each step, and the copy costs a few per cent of the convolution.
#include "kernels/cpu/conv.hpp"

#include "kernels/cpu/cpu.hpp"

namespace ptrain::cpu {

ConvDescs conv_descs(const OpKey& key) {
  using Tag = dnnl::memory::format_tag;
  const ConvShape& s = key.shape;
  const auto type = dnnl_type(key.type), filter = dnnl_type(key.filter);
  const dnnl::memory::dims w = key.groups > 1 ? dnnl::memory::dims{key.groups, s.k / key.groups, s.c / key.groups, s.r, s.s}
                                              : dnnl::memory::dims{s.k, s.c, s.r, s.s};
  // What lies right of and below the last window is not read: that padding may be negative.
  return {.x = {{s.n, s.c, s.h, s.w}, type, Tag::nhwc},
          .w = {w, filter, key.groups > 1 ? Tag::hwigo : Tag::hwio},
          .any_w = {w, filter, Tag::any},
          .y = {{s.n, s.k, s.p(), s.q()}, type, Tag::nhwc},
          .stride = {s.stride, s.stride},
          .before = {s.pad_h, s.pad_w},
          .after = {(s.p() - 1) * s.stride + s.r - s.h - s.pad_h, (s.q() - 1) * s.stride + s.s - s.w - s.pad_w}};
}

namespace {

dnnl::algorithm dnnl_algorithm(Algorithm a) {
  switch (a) {
    case Algorithm::direct: return dnnl::algorithm::convolution_direct;
  }
  fail(ErrorKind::failed, "no such convolution algorithm: ", int(a));
}

Operand::Role result(const OpKey& key) { return key.how == Accumulate::yes ? Operand::added : Operand::written; }

dnnl::convolution_forward::primitive_desc forward_desc(CpuExec& exec, const OpKey& key, const ConvDescs& d) {
  return {{dnnl::prop_kind::forward_training, dnnl_algorithm(key.algorithm), d.x, d.any_w, d.y, d.stride, d.before, d.after}, user_scratchpad(), exec.engine()};
}

std::unique_ptr<Operation> make_forward(CpuExec& exec, const OpKey& key) {
  const ConvDescs d = conv_descs(key);
  const auto pd = forward_desc(exec, key, d);
  return std::make_unique<Operation>(exec, dnnl::convolution_forward(pd), pd.scratchpad_desc(),
                                     std::vector<Operand>{{DNNL_ARG_SRC, d.x, pd.src_desc()},
                                                          {DNNL_ARG_WEIGHTS, d.w, pd.weights_desc()},
                                                          {DNNL_ARG_DST, d.y, pd.dst_desc(), Operand::written}});
}

std::unique_ptr<Operation> make_backward_data(CpuExec& exec, const OpKey& key) {
  const ConvDescs d = conv_descs(key);
  const dnnl::convolution_backward_data::primitive_desc pd({dnnl_algorithm(key.algorithm), d.x, d.any_w, d.y, d.stride, d.before, d.after}, user_scratchpad(),
                                                           exec.engine(), forward_desc(exec, key, d));
  return std::make_unique<Operation>(exec, dnnl::convolution_backward_data(pd), pd.scratchpad_desc(),
                                     std::vector<Operand>{{DNNL_ARG_DIFF_DST, d.y, pd.diff_dst_desc()},
                                                          {DNNL_ARG_WEIGHTS, d.w, pd.weights_desc()},
                                                          {DNNL_ARG_DIFF_SRC, d.x, pd.diff_src_desc(), result(key)}});
}

std::unique_ptr<Operation> make_backward_filter(CpuExec& exec, const OpKey& key) {
  const ConvDescs d = conv_descs(key);
  OpKey forward = key;
  forward.filter = key.type;  // the forward pass of a bfloat16 convolution has no float32 weights, its gradient may
  const dnnl::convolution_backward_weights::primitive_desc pd({dnnl_algorithm(key.algorithm), d.x, d.any_w, d.y, d.stride, d.before, d.after},
                                                              user_scratchpad(), exec.engine(), forward_desc(exec, forward, conv_descs(forward)));
  return std::make_unique<Operation>(exec, dnnl::convolution_backward_weights(pd), pd.scratchpad_desc(),
                                     std::vector<Operand>{{DNNL_ARG_SRC, d.x, pd.src_desc()},
                                                          {DNNL_ARG_DIFF_DST, d.y, pd.diff_dst_desc()},
                                                          {DNNL_ARG_DIFF_WEIGHTS, d.w, pd.diff_weights_desc(), result(key)}});
}

// Which algorithm a convolution takes. It must follow from the shape alone, so that results do not depend on a measurement.
Algorithm choose_algorithm(OpKind, const ConvShape&) { return Algorithm::direct; }

OpKey conv_key(OpKind kind, const ConvShape& s, Buffer x, Buffer w, Accumulate how = Accumulate::no) {
  require_type(x.dtype);
  return {.kind = kind, .algorithm = choose_algorithm(kind, s), .type = x.dtype, .filter = w.dtype, .how = how, .shape = s};
}

OpKey depthwise_key(OpKind kind, const DepthwiseShape& s, Buffer x, Buffer w, Accumulate how = Accumulate::no) {
  require_type(x.dtype);
  const ConvShape conv{.n = s.n, .h = s.h, .w = s.w, .c = s.c, .k = s.c, .r = s.r, .s = s.s, .stride = s.stride,
                       .pad_h = s.pad_h, .pad_w = s.pad_w, .more_h = s.more_h, .more_w = s.more_w};
  return {.kind = kind, .type = x.dtype, .filter = w.dtype, .how = how, .shape = conv, .groups = s.c};
}

void run(Exec& e, const OpKey& key, CpuExec::Maker make, Buffer a, Buffer b, Buffer to) {
  CpuExec& exec = cpu_exec(e);
  exec.operation(key, make).run(exec, {a.data, b.data, to.data});
}

}  // namespace

void CpuBackend::do_conv_forward(Exec& e, const ConvShape& s, Buffer x, Buffer w, Buffer y) {
  run(e, conv_key(OpKind::forward, s, x, w), make_forward, x, w, y);
}

void CpuBackend::do_conv_backward_data(Exec& e, const ConvShape& s, Buffer dy, Buffer w, Into dx) {
  run(e, conv_key(OpKind::backward_data, s, dy, w, dx.how), make_backward_data, dy, w, dx.buffer);
}

void CpuBackend::do_conv_backward_filter(Exec& e, const ConvShape& s, Buffer x, Buffer dy, Into dw) {
  run(e, conv_key(OpKind::backward_filter, s, x, dw.buffer, dw.how), make_backward_filter, x, dy, dw.buffer);
}

void CpuBackend::do_depthwise_forward(Exec& e, const DepthwiseShape& s, Buffer x, Buffer w, Buffer y) {
  run(e, depthwise_key(OpKind::forward, s, x, w), make_forward, x, w, y);
}

void CpuBackend::do_depthwise_backward_data(Exec& e, const DepthwiseShape& s, Buffer dy, Buffer w, Into dx) {
  run(e, depthwise_key(OpKind::backward_data, s, dy, w, dx.how), make_backward_data, dy, w, dx.buffer);
}

void CpuBackend::do_depthwise_backward_filter(Exec& e, const DepthwiseShape& s, Buffer x, Buffer dy, Into dw) {
  run(e, depthwise_key(OpKind::backward_filter, s, x, dw.buffer, dw.how), make_backward_filter, x, dy, dw.buffer);
}

}  // namespace ptrain::cpu
