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

}  // namespace

Tensor norm_train(Context& c, const Tensor& x, const BatchNorm& bn) {
  c.same_device("norm_train", x, bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance);
  const NormShape s = norm_shape(x, bn);
  Tensor y = c.like(x), mean = c.like(bn.beta), inv_std = c.like(bn.beta);
  c.backend.norm_train_forward(c.exec, s,
                               {.x = x.buffer(), .gamma = buffer_or_none(bn.gamma), .beta = bn.beta.buffer(), .moving_mean = bn.moving_mean.buffer(),
                                .moving_variance = bn.moving_variance.buffer(), .momentum = bn.momentum, .mean = mean.buffer(), .inv_std = inv_std.buffer(), .y = y.buffer()});
  const Tensor mask = s.act == Act::none ? Tensor() : y;  // only an activation needs its output again
  c.tape.record({x, bn.gamma, bn.beta}, y, [s, x, gamma = bn.gamma, beta = bn.beta, mean, inv_std, mask](Context& b, const Tensor& dy) {
    b.backend.norm_train_backward(b.exec, s,
                                  {.x = x.buffer(), .y = buffer_or_none(mask), .dy = dy.buffer(), .gamma = buffer_or_none(gamma), .mean = mean.buffer(), .inv_std = inv_std.buffer(),
                                   .variance = {}, .dx = b.tape.into_place_of(b, Ref(x), dy), .dgamma = b.tape.into(b, gamma), .dbeta = b.tape.into(b, beta)});
  });
  return y;
}

Tensor norm_infer(Context& c, const Tensor& x, const BatchNorm& bn) {
  c.same_device("norm_infer", x, bn.gamma, bn.beta, bn.moving_mean, bn.moving_variance);
  const NormShape s = norm_shape(x, bn);
  Tensor y = c.like(x);
  c.backend.norm_infer_forward(c.exec, s,
                               {.x = x.buffer(), .gamma = buffer_or_none(bn.gamma), .beta = bn.beta.buffer(), .mean = bn.moving_mean.buffer(), .variance = bn.moving_variance.buffer(),
                                .y = y.buffer()});
  const Tensor mask = s.act == Act::none ? Tensor() : y;
  c.tape.record({x, bn.gamma, bn.beta}, y, [s, x, gamma = bn.gamma, beta = bn.beta, mean = bn.moving_mean, variance = bn.moving_variance, mask](Context& b, const Tensor& dy) {
    b.backend.norm_infer_backward(b.exec, s,
                                  {.x = x.buffer(), .y = buffer_or_none(mask), .dy = dy.buffer(), .gamma = buffer_or_none(gamma), .mean = mean.buffer(), .inv_std = {},
                                   .variance = variance.buffer(), .dx = b.tape.into_place_of(b, Ref(x), dy), .dgamma = b.tape.into(b, gamma), .dbeta = b.tape.into(b, beta)});
  });
  return y;
}

}  // namespace ptrain
