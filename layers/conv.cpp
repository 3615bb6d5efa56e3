#include <cmath>
#include <tuple>

#include "layers/scope.hpp"

namespace ptrain {

struct Scope::Plan {
  bool depthwise = false;
  const ConvNames& names;
  const ConvOpts& o;
  ConvWindow window;
  Shape w, y;  // kernel and output

  const char* kernel_name() const { return depthwise ? "depthwise_kernel" : "kernel"; }
  bool has_pad() const { return !names.pad.empty(); }
  bool has_bn() const { return !names.bn.empty(); }
  bool has_residual() const { return o.residual.defined(); }
  int64_t channels() const { return y[3]; }
  int steps() const { return 1 + has_bn() + has_residual(); }
  Fused<ConvShape> fused_conv(const Tensor& x) const { return {conv_shape(x, w, window), o.act, has_residual()}; }
  Fused<DepthwiseShape> fused_depthwise(const Tensor& x) const { return {depthwise_shape(x, w, window), o.act, has_residual()}; }
};

namespace {

// TensorFlow's "same": ⌈length / stride⌉ windows, and the odd zero at the end.
std::pair<int64_t, int64_t> same_padding(int64_t length, int64_t kernel, int64_t stride) {
  const int64_t total = std::max<int64_t>(0, (length + stride - 1) / stride * stride - stride + kernel - length);
  return {total / 2, total % 2};
}

}  // namespace

Tensor Scope::conv(const Tensor& x, const std::string& name, const ConvOpts& o) { return conv_bn(x, {.conv = name}, o); }

Tensor Scope::conv_bn(const Tensor& x, const ConvNames& names, const ConvOpts& o) { return convolve(x, plan(x, names, o, false)); }

Tensor Scope::depthwise_bn(const Tensor& x, const ConvNames& names, const ConvOpts& o) { return convolve(x, plan(x, names, o, true)); }

// A zero padding of its own becomes part of the convolution, unless somebody watches the layers.
Scope::Plan Scope::plan(const Tensor& x, const ConvNames& names, const ConvOpts& o, bool depthwise) const {
  const int64_t kh = o.kernel, kw = o.kernel_w ? o.kernel_w : o.kernel, out = depthwise ? 1 : o.out;
  Plan p{.depthwise = depthwise, .names = names, .o = o, .window = {.stride = o.stride}, .w = {kh, kw, x.dim(3), out}, .y = {}};
  ConvWindow& win = p.window;
  if (o.pad == Pad::same) {
    std::tie(win.pad_h, win.more_h) = same_padding(x.dim(1), kh, o.stride);
    std::tie(win.pad_w, win.more_w) = same_padding(x.dim(2), kw, o.stride);
  } else {
    const Padding& z = o.zero_pad;
    REQUIRE_THAT(z.top <= z.bottom && z.left <= z.right, "layer '", names.conv, "': more padding before than after");
    win.pad_h = z.top, win.more_h = z.bottom - z.top, win.pad_w = z.left, win.more_w = z.right - z.left;
  }
  p.y = {x.dim(0), window_count(x.dim(1), kh, o.stride, win.pad_h, win.more_h), window_count(x.dim(2), kw, o.stride, win.pad_w, win.more_w),
         depthwise ? x.dim(3) : o.out};
  REQUIRE_THAT(p.y[1] > 0 && p.y[2] > 0, "layer '", names.conv, "': input ", str(x.shape()), " is too small");
  return p;
}

// Up to three steps: the convolution (and its bias), the batch norm, the sum with the residual. The activation belongs to the last.
Tensor Scope::convolve(const Tensor& x, const Plan& p) {
  enter(p.names.conv);
  if (o_.observer && p.has_pad()) {
    const Tensor padded = zero_pad(x, p.o.zero_pad, p.names.pad);
    ConvOpts rest = p.o;
    rest.zero_pad = {};
    const ConvNames names{.pad = "", .conv = p.names.conv, .bn = p.names.bn, .add = p.names.add, .act = p.names.act};
    return convolve(padded, plan(padded, names, rest, p.depthwise));
  }
  const int conv_step = take_step(), bn_step = p.has_bn() ? take_step() : conv_step, last = p.has_residual() ? take_step() : bn_step;
  if (frozen_whole(x, p, conv_step)) {
    if (o_.trace) o_.trace->live.resize(size_t(last), false);
    return done(last, fused(x, p), p.has_residual() ? std::vector{x, p.o.residual} : std::vector{x});
  }

  const Act after_conv = p.has_bn() || p.has_residual() ? Act::none : p.o.act, after_bn = p.has_residual() ? Act::none : p.o.act;
  Tensor y;
  if (joins_norm(x, p, conv_step)) {
    y = done(bn_step, conv_norm(x, p, after_bn), {x});
  } else {
    y = skipped(conv_step) ? absent(conv_step, p.y, x.dtype()) : done(conv_step, unfused_conv(x, p), {x});
    tell({.type = p.depthwise ? "DepthwiseConv2D" : "Conv2D",
          .name = p.names.conv,
          .filters = p.depthwise ? 0 : p.o.out,
          .kernel_h = p.w[0],
          .kernel_w = p.w[1],
          .stride = p.o.stride,
          .pad = p.o.pad,
          .bias = p.o.bias,
          .act = after_conv},
         {x}, y);
    if (p.has_bn()) {
      const Tensor z = y;
      const Act inside = o_.observer ? Act::none : after_bn;
      y = skipped(bn_step) ? absent(bn_step, p.y, x.dtype()) : done(bn_step, normalise(z, p.names.bn, p.o.bn, inside), {z});
      tell({.type = "BatchNormalization", .name = p.names.bn, .eps = p.o.bn.eps, .momentum = p.o.bn.momentum, .gamma = p.o.bn.gamma}, {z},
           y);
    }
  }
  if (p.has_residual()) {
    const Tensor z = y;
    const Act inside = o_.observer ? Act::none : p.o.act;
    y = skipped(last) ? absent(last, p.y, x.dtype()) : done(last, add(c_, p.o.residual, z, inside), {p.o.residual, z});
    tell({.type = "Add", .name = p.names.add}, {p.o.residual, z}, y);
  }
  if (o_.observer && !p.names.act.empty()) {
    const Tensor z = y;
    y = activation(c_, z, p.o.act);
    tell({.type = p.o.act == Act::relu6 ? "ReLU" : "Activation", .name = p.names.act, .act = p.o.act}, {z}, y);
  }
  return y;
}

bool Scope::frozen_whole(const Tensor& x, const Plan& p, int first_step) const {
  const bool untouched = !skipped(first_step) && !skipped(first_step + p.steps() - 1);
  const bool no_gradient =
      !wants_grad(x) && !wants_grad(p.o.residual) && (!o_.record || (!params_.trainable(p.names.conv) && !params_.trainable(p.names.bn)));
  return o_.frozen && !o_.observer && untouched && no_gradient && !uses_batch_statistics(p.names.bn);
}

// A batch norm with moving statistics in the trainable part is one operation with its convolution, unless gamma is trained and that
// would not pay: gamma is then folded into the weights, which takes some passes over them for each group of images instead of some over
// the result. In float16 and bfloat16 the gradient of the folded weights would be rounded.
bool Scope::joins_norm(const Tensor& x, const Plan& p, int conv_step) const {
  if (!o_.record || o_.observer || o_.trace || !p.has_bn() || skipped(conv_step) || skipped(conv_step + 1) ||
      uses_batch_statistics(p.names.bn))
    return false;
  const bool trains_gamma = p.o.bn.gamma && params_.trainable(p.names.bn);
  return !trains_gamma || (params_.trainable(p.names.conv) && p.w.size() < p.y.size() && size_of(x.dtype()) >= 4);
}

Tensor Scope::conv_norm(const Tensor& x, const Plan& p, Act act) {
  const Tensor& w = weight(p.names.conv, p.kernel_name(), p.w);
  const Tensor bias = p.o.bias ? weight(p.names.conv, "bias", {p.channels()}) : Tensor();
  const BatchNorm bn = batch_norm(p.names.bn, p.o.bn, p.channels(), act);
  return p.depthwise ? depthwise_norm_infer(c_, x, w, p.window, bias, bn) : conv_norm_infer(c_, x, w, p.window, bias, bn);
}

Tensor Scope::unfused_conv(const Tensor& x, const Plan& p) {
  const Tensor& w = weight(p.names.conv, p.kernel_name(), p.w);
  Tensor y = p.depthwise ? depthwise_conv(c_, x, w, p.window) : ptrain::conv(c_, x, w, p.window);
  const Act act = p.has_bn() || p.has_residual() ? Act::none : p.o.act;
  if (p.o.bias) return bias_act(c_, y, weight(p.names.conv, "bias", {p.channels()}), act);
  return act == Act::none ? y : activation(c_, y, act);
}

// What bias and batch norm come to after a frozen convolution.
Scope::ScaleShift Scope::scale_and_shift(const Plan& p) {
  const auto k = size_t(p.channels());
  const std::vector<double> bias = p.o.bias ? weight(p.names.conv, "bias", {p.channels()}).to_doubles() : std::vector<double>(k, 0.0);
  return p.has_bn() ? scale_and_shift(p.names.bn, p.o.bn, p.channels(), bias) : ScaleShift{std::vector<double>(k, 1.0), bias};
}

// γ/√(v+ε) and β + (bias − mean)·scale, in double.
Scope::ScaleShift Scope::scale_and_shift(const std::string& bn, const BnOpts& o, int64_t channels, const std::vector<double>& bias) {
  const auto values = [&](const char* name, Kind kind = Kind::weight) { return weight(bn, name, {channels}, kind).to_doubles(); };
  ScaleShift f{o.gamma ? values("gamma") : std::vector<double>(size_t(channels), 1.0), bias};
  const std::vector<double> beta = values("beta"), mean = values("moving_mean", Kind::statistic),
                            variance = values("moving_variance", Kind::statistic);
  for (size_t i = 0; i < beta.size(); ++i) {
    f.scale[i] /= std::sqrt(variance[i] + o.eps);
    f.shift[i] = beta[i] + (f.shift[i] - mean[i]) * f.scale[i];
  }
  return f;
}

std::pair<Tensor, Tensor> Scope::ScaleShift::tensors(const Tensor& beside) const {
  const DType t = beside.dtype() == DType::float64 ? DType::float64 : DType::float32;
  const Shape channels{int64_t(scale.size())};
  return {Tensor::from(scale, channels, t, beside.memory()), Tensor::from(shift, channels, t, beside.memory())};
}

// The kernel with what follows it folded in, as the backend wants it.
FrozenWeights::Packed Scope::packed(const Tensor& x, const Plan& p) {
  return o_.frozen->find_or_pack(p.names.conv, [&] {
    const Tensor& w = weight(p.names.conv, p.kernel_name(), p.w);
    const auto [scale, shift] = scale_and_shift(p).tensors(w);
    if (p.depthwise) return c_.backend.pack_depthwise(c_.exec, p.fused_depthwise(x), w.buffer(), scale.buffer(), shift.buffer());
    return c_.backend.pack_conv(c_.exec, p.fused_conv(x), w.buffer(), scale.buffer(), shift.buffer());
  });
}

// One operation for everything.
Tensor Scope::fused(const Tensor& x, const Plan& p) {
  Tensor y = c_.tensor(p.y, x.dtype());
  const Buffer residual = p.has_residual() ? p.o.residual.buffer() : Buffer{};
  const FrozenWeights::Packed weights = packed(x, p);
  if (p.depthwise) c_.backend.depthwise_bn_act(c_.exec, p.fused_depthwise(x), x.buffer(), *weights, residual, y.buffer());
  else c_.backend.conv_bn_act(c_.exec, p.fused_conv(x), x.buffer(), *weights, residual, y.buffer());
  return y;
}

Tensor Scope::inverted_residual(const Tensor& x, const ConvStep& expand, const ConvStep& depthwise, const ConvStep& project) {
  const bool expands = !expand.names.conv.empty();
  const auto one_by_one = [&] {
    const Tensor wide = expands ? conv_bn(x, expand.names, expand.o) : x;
    return conv_bn(depthwise_bn(wide, depthwise.names, depthwise.o), project.names, project.o);
  };
  if (!o_.frozen || o_.observer || o_.trace || !x.has_data()) return one_by_one();
  const Plan p1 = plan(x, expand.names, expand.o, false);  // of no meaning without an expansion
  const Tensor wide_shape = expands ? Tensor::shape_only(p1.y, x.dtype()) : x;
  const Plan p2 = plan(wide_shape, depthwise.names, depthwise.o, true);
  const Tensor deep_shape = Tensor::shape_only(p2.y, x.dtype());
  const Plan p3 = plan(deep_shape, project.names, project.o, false);
  const int second = step_ + (expands ? p1.steps() : 0), third = second + p2.steps();
  if ((expands && !frozen_whole(x, p1, step_)) || !frozen_whole(x, p2, second) || !frozen_whole(x, p3, third)) return one_by_one();

  enter(expands ? expand.names.conv : depthwise.names.conv);
  step_ = third + p3.steps();
  const Tensor y = c_.tensor(p3.y, x.dtype()), wide = expands ? c_.tensor(p1.y, x.dtype()) : x, deep = c_.tensor(p2.y, x.dtype());
  const FrozenWeights::Packed w1 = expands ? packed(x, p1) : nullptr, w2 = packed(wide, p2), w3 = packed(deep, p3);
  const InvertedResidual all{.expand = {expands ? p1.fused_conv(x) : Fused<ConvShape>{}, w1.get()},
                             .depthwise = p2.fused_depthwise(wide),
                             .depthwise_weights = w2.get(),
                             .project = {p3.fused_conv(deep), w3.get()},
                             .wide = expands ? wide.buffer() : Buffer{},
                             .deep = deep.buffer()};
  c_.backend.inverted_residual(c_.exec, all, x.buffer(), p3.has_residual() ? p3.o.residual.buffer() : Buffer{}, y.buffer());
  return done(step_ - 1, y, {x});
}

BatchNorm Scope::batch_norm(const std::string& name, const BnOpts& o, int64_t channels, Act act) {
  const Shape c{channels};
  BatchNorm bn{.eps = o.eps, .momentum = o.momentum, .act = act};
  if (o.gamma) bn.gamma = weight(name, "gamma", c);
  bn.beta = weight(name, "beta", c);
  bn.moving_mean = weight(name, "moving_mean", c, Kind::statistic);
  bn.moving_variance = weight(name, "moving_variance", c, Kind::statistic);
  return bn;
}

Tensor Scope::normalise(const Tensor& x, const std::string& name, const BnOpts& o, Act act) {
  enter(name);
  const BatchNorm bn = batch_norm(name, o, x.dim(3), act);
  return uses_batch_statistics(name) ? norm_train(c_, x, bn) : norm_infer(c_, x, bn);
}

Tensor Scope::bn_act(const Tensor& x, const std::string& bn, const std::string& act_name, Act act, const BnOpts& o) {
  const Act inside = o_.observer ? Act::none : act;
  Tensor y = step({x}, x.shape(), [&] { return normalise(x, bn, o, inside); });
  tell({.type = "BatchNormalization", .name = bn, .eps = o.eps, .momentum = o.momentum, .gamma = o.gamma}, {x}, y);
  if (o_.observer && act != Act::none) {
    const Tensor z = y;
    y = activation(c_, z, act);
    tell({.type = "Activation", .name = act_name, .act = act}, {z}, y);
  }
  return y;
}

}  // namespace ptrain
