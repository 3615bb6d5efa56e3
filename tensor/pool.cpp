#include "tensor/ops.hpp"

namespace ptrain {
namespace {

PoolShape pool_shape(const char* op, const Tensor& x, PoolWindow o) {
  REQUIRE_THAT(x.shape().rank() == 4, op, ": input ", str(x.shape()), " is not NHWC");
  const PoolShape s{.n = x.dim(0), .h = x.dim(1), .w = x.dim(2), .c = x.dim(3), .window = o.window, .stride = o.stride, .pad = o.pad};
  REQUIRE_THAT(s.p() > 0 && s.q() > 0, op, ": input ", str(x.shape()), " is smaller than the window ", o.window);
  return s;
}

}  // namespace

Tensor max_pool(Context& c, const Tensor& x, PoolWindow o) {
  c.same_device("max_pool", x);
  const PoolShape s = pool_shape("max_pool", x, o);
  Tensor y = c.tensor({s.n, s.p(), s.q(), s.c}, x.dtype());
  if (!c.tape.wants_grad(x)) {
    c.backend.max_pool_forward(c.exec, s, x.buffer(), y.buffer());
    return y;
  }
  const Tensor argmax = c.tensor(y.shape(), DType::uint8);  // a quarter of y, where x is four times as large: x need not be kept
  c.backend.max_pool_forward(c.exec, s, x.buffer(), y.buffer(), argmax.buffer(), c.tape.take_mask(x));
  c.tape.record({x}, y, [s, argmax, x = Ref(x)](Context& b, const Tensor& dy) {
    b.backend.max_pool_backward(b.exec, s, argmax.buffer(), dy.buffer(), b.tape.into(b, x));
  });
  return y;
}

Tensor avg_pool(Context& c, const Tensor& x, PoolWindow o) {
  c.same_device("avg_pool", x);
  const PoolShape s = pool_shape("avg_pool", x, o);
  Tensor y = c.tensor({s.n, s.p(), s.q(), s.c}, x.dtype());
  c.backend.avg_pool_forward(c.exec, s, x.buffer(), y.buffer());
  // Where the output is as large as the input it is not kept: backward pools again what others of a block's branches keep anyway.
  std::shared_ptr<const Saved::Recipe> recipe;
  if (y.size() == x.size() && c.tape.wants_grad(x)) {
    recipe = std::make_shared<const Saved::Recipe>([s, shape = y.shape(), saved = c.tape.save(x)](Context& b) {
      const Tensor input = saved.get(b), again = b.tensor(shape, input.dtype());
      b.backend.avg_pool_forward(b.exec, s, input.buffer(), again.buffer());
      return again;
    });
    c.tape.can_remake(y, recipe);
  }
  c.tape.record({x}, y, [s, x = Ref(x), recipe](Context& b, const Tensor& dy) {
    b.backend.avg_pool_backward(b.exec, s, dy.buffer(), b.tape.into(b, x));
  });
  return y;
}

Tensor global_avg_pool(Context& c, const Tensor& x) {
  c.same_device("global_avg_pool", x);
  REQUIRE_THAT(x.shape().rank() == 4, "global_avg_pool: input ", str(x.shape()), " is not NHWC");
  const int64_t n = x.dim(0);
  const RowShape image{x.dim(1) * x.dim(2), x.dim(3)};
  Tensor y = c.tensor({n, image.c}, x.dtype());
  c.backend.global_avg_pool_forward(c.exec, n, image, x.buffer(), y.buffer());
  c.tape.record({x}, y, [n, image, x = Ref(x)](Context& b, const Tensor& dy) {
    b.backend.global_avg_pool_backward(b.exec, n, image, dy.buffer(), b.tape.into(b, x));
  });
  return y;
}

}  // namespace ptrain
