#include "tensor/ops.hpp"

namespace ptrain {
namespace {

NormShape norm_shape(const Tensor& x, const BatchNorm& bn) {
  const RowShape s = row_shape(x);
  REQUIRE_THAT(bn.beta.shape() == Shape{s.c} && bn.moving_mean.shape() == Shape{s.c} && bn.moving_variance.shape() == Shape{s.c} &&
                   (!bn.gamma.defined() || bn.gamma.shape() == Shape{s.c}),
               "batch norm: input ", str(x.shape()), " needs parameters of ", s.c, " elements, beta has shape ", str(bn.beta.shape()));
  return {.rows = s.rows, .c = s.c, .eps = bn.eps, .act = bn.act};
}

Buffer buffer_or_none(const Tensor& t) { return t.defined() ? t.buffer() : Buffer{}; }

NormInfer norm_infer_buffers(const Buffer& x, const BatchNorm& bn, const Tensor& y) {
  return {.x = x,
          .gamma = buffer_or_none(bn.gamma),
          .beta = bn.beta.buffer(),
          .mean = bn.moving_mean.buffer(),
          .variance = bn.moving_variance.buffer(),
          .y = y.buffer()};
}

// Only an activation needs y, only gamma's gradient x; beta's goes to the tape.
void norm_infer_backward(Context& c, const NormShape& s, const Tensor& x, const BatchNorm& bn, const Tensor& y, const Tensor& dy, Into dx,
                         Into dgamma) {
  c.backend.norm_infer_backward(c.exec, s,
                                {.x = buffer_or_none(x),
                                 .y = buffer_or_none(y),
                                 .dy = dy.buffer(),
                                 .gamma = buffer_or_none(bn.gamma),
                                 .beta = {},
                                 .mean = bn.moving_mean.buffer(),
                                 .inv_std = {},
                                 .variance = bn.moving_variance.buffer(),
                                 .dx = dx,
                                 .dgamma = dgamma,
                                 .dbeta = c.tape.into(c, bn.beta)});
}

Tensor norm_infer_of_rows(Context& c, const NormShape& s, const Tensor& x, const BatchNorm& bn) {
  c.same_device("norm_infer", x, bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance);
  Tensor y = c.like(x);
  c.backend.norm_infer_forward(c.exec, s, norm_infer_buffers(x.buffer(), bn, y));
  const Tensor output = s.act == Act::none ? Tensor() : y;
  const Tensor input = c.tape.wants_grad(bn.gamma) ? x : Tensor();
  c.tape.record({x, bn.gamma, bn.beta}, y, [s, x = Ref(x), input, output, bn](Context& b, const Tensor& dy) {
    norm_infer_backward(b, s, input, bn, output, dy, b.tape.into_place_of(b, x, dy), b.tape.into(b, bn.gamma));
  });
  return y;
}

// Gamma and the moving statistics, folded into a convolution: weights w·γ/σ, and a batch norm that only adds what is left of it,
// β + (bias − mean)·γ/σ. Gamma's gradient comes back out of theirs, (⟨w, dw'⟩ + (bias − mean)·dβ)/σ, without the result of the convolution.
std::pair<Tensor, BatchNorm> folded(Context& c, const Tensor& w, const Tensor& bias, const BatchNorm& bn) {
  REQUIRE_THAT(size_of(w.dtype()) >= 4, "conv_norm_infer: gamma's gradient cannot be had from ", str(w.dtype()),
               " weights; call conv() and norm_infer()");
  const auto constant = [&](double value) {
    const Tensor t = c.like(bn.beta);
    c.backend.fill(c.exec, value, t.buffer());
    return t;
  };
  const Tensor zeros = constant(0), ones = constant(1);
  BatchNorm scale = bn, all = bn;
  scale.beta = scale.moving_mean = zeros;
  all.act = Act::none;
  const int64_t k = bn.beta.size();
  const Tensor scaled = norm_infer_of_rows(c, {.rows = w.size() / k, .c = k, .eps = bn.eps}, w, scale);  // a depthwise kernel is [r,s,c,1]
  const Tensor shift = norm_infer(c, bias.defined() ? bias : zeros, all);
  return {scaled, {.gamma = {}, .beta = shift, .moving_mean = zeros, .moving_variance = ones, .eps = 0, .act = bn.act}};
}

// The operations of one kind of convolution.
template <class Shape>
struct ConvOps {
  void (Backend::*norm_infer)(Exec&, const Shape&, Act, double eps, Buffer x, Buffer w, Buffer bias, const NormInfer&);
  void (Backend::*backward_data)(Exec&, const Shape&, Buffer dy, Buffer w, Into dx);
  void (Backend::*backward_filter)(Exec&, const Shape&, Buffer x, Buffer dy, Into dw);
};

template <class S>
Tensor norm_infer_of(Context& c, const ConvOps<S>& ops, const S& s, const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y,
                     const BatchNorm& bn) {
  c.same_device("conv_norm_infer", x, w, bias, bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance);
  if (c.tape.wants_grad(bn.gamma)) {
    const auto [scaled, shift] = folded(c, w, bias, bn);
    return norm_infer_of(c, ops, s, x, scaled, {}, y, shift);
  }
  const NormShape norm = norm_shape(y, bn);
  (c.backend.*ops.norm_infer)(c.exec, s, bn.act, bn.eps, x.buffer(), w.buffer(), buffer_or_none(bias), norm_infer_buffers({}, bn, y));
  const Tensor output = bn.act == Act::none ? Tensor() : y;
  c.tape.record({x, w, bias, bn.beta}, y,
                [ops, s, norm, saved = c.tape.save(x), x = Ref(x), w, bias, output, bn](Context& b, const Tensor& dy) {
                  const Tensor dz = dy.is_sole_owner() ? dy : b.like(dy);
                  norm_infer_backward(b, norm, {}, bn, output, dy, {dz.buffer()}, {});
                  if (const Into db = b.tape.into(b, bias)) b.backend.bias_backward(b.exec, {norm.rows, norm.c}, dz.buffer(), db);
                  if (const Into dw = b.tape.into(b, w))
                    (b.backend.*ops.backward_filter)(b.exec, s, saved.get(b).buffer(), dz.buffer(), dw);
                  if (const Into dx = b.tape.into(b, x)) (b.backend.*ops.backward_data)(b.exec, s, dz.buffer(), w.buffer(), dx);
                });
  return y;
}

}  // namespace

Tensor norm_train(Context& c, const Tensor& x, const BatchNorm& bn) {
  c.same_device("norm_train", x, bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance);
  const NormShape s = norm_shape(x, bn);
  Tensor y = c.like(x), mean = c.like(bn.beta), inv_std = c.like(bn.beta);
  c.backend.norm_train_forward(c.exec, s,
                               {.x = x.buffer(),
                                .gamma = buffer_or_none(bn.gamma),
                                .beta = bn.beta.buffer(),
                                .moving_mean = bn.moving_mean.buffer(),
                                .moving_variance = bn.moving_variance.buffer(),
                                .momentum = bn.momentum,
                                .mean = mean.buffer(),
                                .inv_std = inv_std.buffer(),
                                .y = y.buffer()});
  // The output is not kept: backward has it again for the price of one pass over the input, which is kept anyway.
  const auto recipe = std::make_shared<const Saved::Recipe>([s, x, gamma = bn.gamma, beta = bn.beta, mean, inv_std](Context& b) {
    const Tensor again = b.like(x);
    b.backend.norm_apply(b.exec, s,
                         {.x = x.buffer(),
                          .gamma = buffer_or_none(gamma),
                          .beta = beta.buffer(),
                          .mean = mean.buffer(),
                          .inv_std = inv_std.buffer(),
                          .y = again.buffer()});
    return again;
  });
  c.tape.can_remake(y, recipe);
  c.tape.record({x, bn.gamma, bn.beta}, y, [s, x, gamma = bn.gamma, beta = bn.beta, mean, inv_std, recipe](Context& b, const Tensor& dy) {
    b.backend.norm_train_backward(b.exec, s,
                                  {.x = x.buffer(),
                                   .y = {},
                                   .dy = dy.buffer(),
                                   .gamma = buffer_or_none(gamma),
                                   .beta = beta.buffer(),
                                   .mean = mean.buffer(),
                                   .inv_std = inv_std.buffer(),
                                   .variance = {},
                                   .dx = b.tape.into_place_of(b, Ref(x), dy),
                                   .dgamma = b.tape.into(b, gamma),
                                   .dbeta = b.tape.into(b, beta)});
  });
  return y;
}

Tensor norm_infer(Context& c, const Tensor& x, const BatchNorm& bn) { return norm_infer_of_rows(c, norm_shape(x, bn), x, bn); }

Tensor conv_norm_infer(Context& c, const Tensor& x, const Tensor& w, ConvWindow o, const Tensor& bias, const BatchNorm& bn) {
  const ConvShape s = conv_shape(x, w.shape(), o);
  const ConvOps<ConvShape> ops{&Backend::conv_norm_infer, &Backend::conv_backward_data, &Backend::conv_backward_filter};
  return norm_infer_of(c, ops, s, x, w, bias, c.tensor({s.n, s.p(), s.q(), s.k}, x.dtype()), bn);
}

Tensor depthwise_norm_infer(Context& c, const Tensor& x, const Tensor& w, ConvWindow o, const Tensor& bias, const BatchNorm& bn) {
  const DepthwiseShape s = depthwise_shape(x, w.shape(), o);
  const ConvOps<DepthwiseShape> ops{&Backend::depthwise_norm_infer, &Backend::depthwise_backward_data, &Backend::depthwise_backward_filter};
  return norm_infer_of(c, ops, s, x, w, bias, c.tensor({s.n, s.p(), s.q(), s.c}, x.dtype()), bn);
}

}  // namespace ptrain
