#include "tensor/ops.hpp"

namespace ptrain {

Tensor dense(Context& c, const Tensor& x, const Tensor& w) {
  c.same_device("dense", x, w);
  REQUIRE_THAT(x.shape().rank() == 2 && w.shape().rank() == 2 && x.dim(1) == w.dim(0), "dense: input ", str(x.shape()), " and kernel ",
               str(w.shape()), " do not fit");
  const DenseShape s{.m = x.dim(0), .c = x.dim(1), .k = w.dim(1)};
  Tensor y = c.tensor({s.m, s.k}, x.dtype());
  c.backend.dense_forward(c.exec, s, x.buffer(), w.buffer(), y.buffer());
  c.tape.record({x, w}, y, [s, x, w](Context& b, const Tensor& dy) {
    if (const Into dw = b.tape.into(b, w)) b.backend.dense_backward_filter(b.exec, s, x.buffer(), dy.buffer(), dw);
    if (const Into dx = b.tape.into(b, x)) b.backend.dense_backward_data(b.exec, s, dy.buffer(), w.buffer(), dx);
  });
  return y;
}

Tensor bias_act(Context& c, const Tensor& x, const Tensor& b, Act act) {
  c.same_device("bias_act", x, b);
  const RowShape s = row_shape(x);
  REQUIRE_THAT(b.shape() == Shape{s.c}, "bias_act: input ", str(x.shape()), " and bias ", str(b.shape()), " do not fit");
  Tensor y = c.like(x);
  c.backend.bias_act_forward(c.exec, s, act, x.buffer(), b.buffer(), y.buffer());
  if (!c.tape.wants_grad(x) && !c.tape.wants_grad(b)) return y;
  c.tape.record(
      {x, b}, y,
      [s, act, x = Ref(x), b = Ref(b), mask = act == Act::none ? nullptr : c.tape.keep_mask(act, y)](Context& k, const Tensor& dy) {
        const Tensor dz = mask ? before_act(k, act, mask->get(k), dy) : dy;  // the gradient of x + b
        if (const Into db = k.tape.into(k, b)) k.backend.bias_backward(k.exec, s, dz.buffer(), db);
        k.tape.pass(k, x, dz);
      });
  return y;
}

}  // namespace ptrain
