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
  // The output is not kept: backward has it again for the price of one pass over the input, which is kept anyway.
  const auto recipe = std::make_shared<const Saved::Recipe>([s, x, gamma = bn.gamma, beta = bn.beta, mean, inv_std](Context& b) {
    const Tensor again = b.like(x);
    b.backend.norm_apply(b.exec, s, {.x = x.buffer(), .gamma = buffer_or_none(gamma), .beta = beta.buffer(), .mean = mean.buffer(), .inv_std = inv_std.buffer(), .y = again.buffer()});
    return again;
  });
  c.tape.can_remake(y, recipe);
  c.tape.record({x, bn.gamma, bn.beta}, y, [s, x, gamma = bn.gamma, beta = bn.beta, mean, inv_std, recipe](Context& b, const Tensor& dy) {
    b.backend.norm_train_backward(b.exec, s,
                                  {.x = x.buffer(), .y = {}, .dy = dy.buffer(), .gamma = buffer_or_none(gamma), .beta = beta.buffer(), .mean = mean.buffer(), .inv_std = inv_std.buffer(),
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
  const Tensor output = s.act == Act::none ? Tensor() : y;                    // only an activation needs its output again,
  const Tensor input = c.tape.wants_grad(bn.gamma) ? x : Tensor();  // and only gamma's gradient the input
  c.tape.record({x, bn.gamma, bn.beta}, y, [s, x = Ref(x), input, output, gamma = bn.gamma, beta = bn.beta, mean = bn.moving_mean, variance = bn.moving_variance](Context& b, const Tensor& dy) {
    b.backend.norm_infer_backward(b.exec, s,
                                  {.x = buffer_or_none(input), .y = buffer_or_none(output), .dy = dy.buffer(), .gamma = buffer_or_none(gamma), .beta = {}, .mean = mean.buffer(), .inv_std = {},
                                   .variance = variance.buffer(), .dx = b.tape.into_place_of(b, x, dy), .dgamma = b.tape.into(b, gamma), .dbeta = b.tape.into(b, beta)});
  });
  return y;
}

}  // namespace ptrain
