#include "layers/scope.hpp"

namespace ptrain {
namespace {

// Not packed in any way, but kept where packed weights are: computed once, not once a pass.
struct ScaleAndShift : PackedWeights {
  explicit ScaleAndShift(std::pair<Tensor, Tensor> both) : scale(std::move(both.first)), shift(std::move(both.second)) {}
  Tensor scale, shift;
};

}  // namespace

Block Scope::block(const Tensor& x, int64_t width) {
  const bool frozen_pass = o_.frozen && !o_.observer && !o_.trace && !o_.record && o_.part != NetPart::trainable;
  if (!frozen_pass || !x.has_data()) return {x};
  const Tensor buffer = c_.tensor({x.dim(0), x.dim(1), x.dim(2), width}, x.dtype());
  const RowShape rows = row_shape(x);
  c_.backend.copy_channels(c_.exec, {.rows = rows.rows, .count = rows.c, .from_width = rows.c, .to_width = width}, x.buffer(),
                           {buffer.buffer()});
  return {Tensor::shape_only(x.shape(), x.dtype()), buffer};
}

Tensor Scope::bn_act(const Block& b, const std::string& bn, const std::string& act_name, Act act, const BnOpts& o) {
  if (!b.buffer.defined()) return bn_act(b.x, bn, act_name, act, o);
  enter(bn);
  const int64_t channels = b.x.dim(3);
  return step({b.x}, b.x.shape(), [&] {
    const auto packed = o_.frozen->find_or_pack(bn, [&] {
      const ScaleShift f = scale_and_shift(bn, o, channels, std::vector<double>(size_t(channels), 0.0));
      return std::make_shared<const ScaleAndShift>(f.tensors(weight(bn, "beta", {channels})));
    });
    const auto& of = static_cast<const ScaleAndShift&>(*packed);
    const Tensor y = c_.tensor(b.x.shape(), b.x.dtype());
    const RowShape rows = row_shape(b.buffer);
    c_.backend.scale_shift_act(c_.exec, {.rows = rows.rows, .c = channels, .x_width = rows.c, .act = act}, b.buffer.buffer(),
                               of.scale.buffer(), of.shift.buffer(), y.buffer());
    return y;
  });
}

void Scope::append(Block& b, const Tensor& y, const std::string& name) {
  if (!b.buffer.defined()) {
    b.x = concat({b.x, y}, name);
    return;
  }
  enter(name);
  const int k = take_step();
  const int64_t before = b.x.dim(3), more = y.dim(3);
  const Shape grown{b.x.dim(0), b.x.dim(1), b.x.dim(2), before + more};
  if (skipped(k)) {
    b = {absent(k, grown, y.dtype())};
    return;
  }
  const RowShape rows = row_shape(b.buffer);
  c_.backend.copy_channels(c_.exec, {.rows = rows.rows, .count = more, .from_width = more, .to_width = rows.c, .to = before}, y.buffer(),
                           {b.buffer.buffer()});
  b.x = Tensor::shape_only(grown, y.dtype());
  if (o_.part != NetPart::frozen || !o_.cut->boundary.contains(k)) return;
  const Tensor crossing = c_.tensor(grown, y.dtype());  // the trainable part wants the channels beside one another
  c_.backend.copy_channels(c_.exec, {.rows = rows.rows, .count = before + more, .from_width = rows.c, .to_width = before + more},
                           b.buffer.buffer(), {crossing.buffer()});
  done(k, crossing, {y});
}

}  // namespace ptrain
