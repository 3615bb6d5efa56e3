#include "tensor/ops.hpp"

namespace ptrain {
namespace {

// A sum is made anew when both of its terms are, as those of a residual block are, which are batch norms and the sum before. Each sum is
// made once and stays until its own backward, since a chain of blocks asks for it three times: two convolutions' gradients and the next
// sum.
std::shared_ptr<const Saved::Recipe> sum_again(const Context& c, const Tensor& x1, const Tensor& x2, Act act) {
  const Saved s1 = c.tape.save(x1), s2 = c.tape.save(x2);
  if (!s1.is_remade() || !s2.is_remade()) return nullptr;
  return std::make_shared<const Saved::Recipe>([s1, s2, act, again = std::make_shared<Tensor>()](Context& b) {
    if (!again->defined()) {
      const Tensor x1 = s1.get(b), x2 = s2.get(b), y = b.like(x1);
      b.backend.add_act(b.exec, act, x1.buffer(), x2.buffer(), y.buffer());
      *again = y;
    }
    return *again;
  });
}

}  // namespace

Tensor activation(Context& c, const Tensor& x, Act act) {
  c.same_device("activation", x);
  Tensor y = c.like(x);
  c.backend.act_forward(c.exec, act, x.buffer(), y.buffer());
  c.tape.record({x}, y, [act, x = Ref(x), y](Context& b, const Tensor& dy) {
    b.backend.act_backward(b.exec, act, y.buffer(), dy.buffer(), b.tape.into_place_of(b, x, dy));
  });
  return y;
}

Tensor before_act(Context& c, Act act, const Tensor& y, const Tensor& dy) {
  if (act == Act::none || !y.defined()) return dy;
  const Tensor dz = dy.is_sole_owner() ? dy : c.like(dy);
  c.backend.act_backward(c.exec, act, y.buffer(), dy.buffer(), {dz.buffer()});
  return dz;
}

Tensor add(Context& c, const Tensor& x1, const Tensor& x2, Act act) {
  c.same_device("add", x1, x2);
  REQUIRE_THAT(x1.shape() == x2.shape(), "add: shapes ", str(x1.shape()), " and ", str(x2.shape()), " differ");
  Tensor y = c.like(x1);
  c.backend.add_act(c.exec, act, x1.buffer(), x2.buffer(), y.buffer());
  const std::shared_ptr<const Saved::Recipe> recipe = sum_again(c, x1, x2, act);
  if (recipe) c.tape.can_remake(y, recipe);
  const Saved mask = recipe ? Saved(recipe) : Saved(act == Act::none ? Tensor() : y);
  c.tape.record({x1, x2}, y, [act, x1 = Ref(x1), x2 = Ref(x2), mask](Context& b, const Tensor& dy) {
    const Tensor dz = act == Act::none ? dy : before_act(b, act, mask.get(b), dy);
    b.tape.pass(b, x1, dz);
    b.tape.pass(b, x2, dz);
  });
  return y;
}

Tensor dropout(Context& c, const Tensor& x, float rate, DropoutKey key, const Tensor& samples, const Tensor& epoch) {
  c.same_device("dropout", x, samples, epoch);
  const RowShape r = row_shape(x);
  const DropoutShape s{.rows = r.rows, .c = r.c, .rate = rate, .seed = key.seed, .layer = key.layer};
  Tensor y = c.like(x);
  c.backend.dropout(c.exec, s, x.buffer(), samples.buffer(), epoch.buffer(), {y.buffer()});
  c.tape.record({x}, y, [s, x = Ref(x), samples, epoch](Context& b, const Tensor& dy) {
    b.backend.dropout(b.exec, s, dy.buffer(), samples.buffer(), epoch.buffer(), b.tape.into(b, x));
  });
  return y;
}

}  // namespace ptrain
