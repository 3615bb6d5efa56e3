// The checked public face of Backend: everything but convolutions, dense layers and batch normalisation.
#include "kernels/check.hpp"
#include "kernels/profile.hpp"

namespace ptrain {
namespace {

void check_pool(const char* op, const PoolShape& s) {
  REQUIRE_THAT(s.n > 0 && s.c > 0 && s.window > 0 && s.stride > 0 && s.pad >= 0 && s.pad < s.window && s.p() > 0 && s.q() > 0, op,
               ": bad shape: input ", s.n, "x", s.h, "x", s.w, "x", s.c, ", window ", s.window, ", stride ", s.stride, ", padding ", s.pad);
}

void check_pad(const char* op, const PadShape& s) {
  REQUIRE_THAT(s.top >= 0 && s.bottom >= 0 && s.left >= 0 && s.right >= 0, op, ": negative padding ", s.top, ",", s.bottom, ",", s.left,
               ",", s.right);
}

void check_channels(const ChannelCopy& s) {
  REQUIRE_THAT(s.rows >= 0 && s.count > 0 && s.from >= 0 && s.to >= 0 && s.from + s.count <= s.from_width && s.to + s.count <= s.to_width,
               "copy_channels: channels [", s.from, ", ", s.from + s.count, ") of ", s.from_width, " to [", s.to, ", ", s.to + s.count,
               ") of ", s.to_width);
}

void check_slots(const char* op, std::span<const OptimizerSlot> slots, int states) {
  const Check check(op);
  for (const OptimizerSlot& s : slots) {
    check.is("w", s.w, wide(s.w.dtype), s.w.size).floating("dw", s.dw, s.w.size);
    for (int i = 0; i < states; ++i) check.is("state", s.state[i], s.w.dtype, s.w.size);
    if (s.copy) check.floating("copy", s.copy, s.w.size);
  }
}

}  // namespace

void Backend::upload(Exec& e, const void* host, Buffer to) {
  if (to.size == 0) return;
  const OpClock clock(e, "upload");
  do_upload(e, host, to);
}

void Backend::download(Exec& e, Buffer from, void* host) {
  if (from.size == 0) return;
  const OpClock clock(e, "download");
  do_download(e, from, host);
}

void Backend::copy(Exec& e, Buffer from, Buffer to) {
  Check("copy").is("to", to, from.dtype, from.size);
  if (from.size == 0) return;
  const OpClock clock(e, "copy");
  do_copy(e, from, to);
}

std::unique_ptr<Recording> Backend::record(Exec& e, const std::function<void()>& work) {
  REQUIRE_THAT(records(), "record: ", name(), " records nothing");
  return do_record(e, work);
}
void Backend::replay(Exec& e, const Recording& recording) { do_replay(e, recording); }

void Backend::act_forward(Exec& e, Act act, Buffer x, Buffer y) {
  Check("act_forward").floating("x", x, x.size).is("y", y, x.dtype, x.size);
  const OpClock clock(e, "act_forward");
  do_act_forward(e, act, x, y);
}

void Backend::act_backward(Exec& e, Act act, Buffer y, Buffer dy, Into dx) {
  Check("act_backward").floating("y", y, y.size).is("dy", dy, y.dtype, y.size).is("dx", dx.buffer, y.dtype, y.size);
  const OpClock clock(e, "act_backward");
  do_act_backward(e, act, y, dy, dx);
}

void Backend::add_act(Exec& e, Act act, Buffer a, Buffer b, Buffer y) {
  Check("add_act").floating("a", a, a.size).is("b", b, a.dtype, a.size).is("y", y, a.dtype, a.size);
  const OpClock clock(e, "add_act");
  do_add_act(e, act, a, b, y);
}

void Backend::add_scaled(Exec& e, double factor, Buffer x, Buffer y) {
  Check("add_scaled").floating("x", x, x.size).floating("y", y, x.size);
  const OpClock clock(e, "add_scaled");
  do_add_scaled(e, factor, x, y);
}

void Backend::scale_shift_act(Exec& e, const ScaleShiftShape& s, Buffer x, Buffer scale, Buffer shift, Buffer y) {
  Check("scale_shift_act")
      .that(s.c > 0 && s.x_width >= s.c, "the rows of x are narrower than those of y")
      .floating("x", x, s.rows * s.x_width)
      .is("scale", scale, wide(x.dtype), s.c)
      .is("shift", shift, wide(x.dtype), s.c)
      .is("y", y, x.dtype, s.rows * s.c);
  const OpClock clock(e, "scale_shift_act");
  do_scale_shift_act(e, s, x, scale, shift, y);
}

void Backend::dropout(Exec& e, const DropoutShape& s, Buffer x, Buffer samples, Buffer epoch, Into y) {
  Check("dropout")
      .that(s.rate >= 0 && s.rate < 1, "the rate must lie in [0, 1)")
      .floating("x", x, s.rows * s.c)
      .is("samples", samples, DType::int32, s.rows)
      .is("epoch", epoch, DType::int32, 1)
      .is("y", y.buffer, x.dtype, s.rows * s.c);
  const OpClock clock(e, "dropout");
  do_dropout(e, s, x, samples, epoch, y);
}

void Backend::cast(Exec& e, Buffer x, Buffer y) {
  Check("cast").size("y", y, x.size).that(supports(x.dtype) && supports(y.dtype), "a type that this device does not know");
  const OpClock clock(e, "cast");
  do_cast(e, x, y);
}

void Backend::fill(Exec& e, double value, Buffer y) {
  if (y.size == 0) return;
  const OpClock clock(e, "fill");
  do_fill(e, value, y);
}

void Backend::random_uniform(Exec& e, uint64_t seed, uint32_t layer, double low, double high, Buffer y) {
  Check("random_uniform").floating("y", y, y.size).that(y.size <= int64_t(UINT32_MAX), "more elements than the counter has numbers");
  const OpClock clock(e, "random_uniform");
  do_random_uniform(e, seed, layer, low, high, y);
}

void Backend::zero_pad_forward(Exec& e, const PadShape& s, Buffer x, Buffer y) {
  check_pad("zero_pad_forward", s);
  Check("zero_pad_forward").floating("x", x, s.x_size()).is("y", y, x.dtype, s.y_size());
  const OpClock clock(e, "zero_pad_forward");
  do_zero_pad_forward(e, s, x, y);
}

void Backend::zero_pad_backward(Exec& e, const PadShape& s, Buffer dy, Into dx) {
  check_pad("zero_pad_backward", s);
  Check("zero_pad_backward").floating("dy", dy, s.y_size()).is("dx", dx.buffer, dy.dtype, s.x_size());
  const OpClock clock(e, "zero_pad_backward");
  do_zero_pad_backward(e, s, dy, dx);
}

void Backend::copy_channels(Exec& e, const ChannelCopy& s, Buffer from, Into to) {
  check_channels(s);
  Check("copy_channels").floating("from", from, s.rows * s.from_width).is("to", to.buffer, from.dtype, s.rows * s.to_width);
  const OpClock clock(e, "copy_channels");
  do_copy_channels(e, s, from, to);
}

void Backend::max_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y, Buffer argmax, Act x_act) {
  check_pool("max_pool_forward", s);
  Check("max_pool_forward")
      .floating("x", x, s.x_size())
      .is("y", y, x.dtype, s.y_size())
      .optional("argmax", argmax, DType::uint8, s.y_size())
      .that(!argmax || s.window <= kLargestArgmaxWindow, "the gradient of a window larger than 15 is not supported");
  const OpClock clock(e, "max_pool_forward");
  do_max_pool_forward(e, s, x, y, argmax, x_act);
}

void Backend::max_pool_backward(Exec& e, const PoolShape& s, Buffer argmax, Buffer dy, Into dx) {
  check_pool("max_pool_backward", s);
  Check("max_pool_backward")
      .is("argmax", argmax, DType::uint8, s.y_size())
      .floating("dy", dy, s.y_size())
      .is("dx", dx.buffer, dy.dtype, s.x_size());
  const OpClock clock(e, "max_pool_backward");
  do_max_pool_backward(e, s, argmax, dy, dx);
}

void Backend::avg_pool_forward(Exec& e, const PoolShape& s, Buffer x, Buffer y) {
  check_pool("avg_pool_forward", s);
  Check("avg_pool_forward").floating("x", x, s.x_size()).is("y", y, x.dtype, s.y_size());
  const OpClock clock(e, "avg_pool_forward");
  do_avg_pool_forward(e, s, x, y);
}

void Backend::avg_pool_backward(Exec& e, const PoolShape& s, Buffer dy, Into dx) {
  check_pool("avg_pool_backward", s);
  Check("avg_pool_backward").floating("dy", dy, s.y_size()).is("dx", dx.buffer, dy.dtype, s.x_size());
  const OpClock clock(e, "avg_pool_backward");
  do_avg_pool_backward(e, s, dy, dx);
}

void Backend::global_avg_pool_forward(Exec& e, int64_t n, RowShape image, Buffer x, Buffer y) {
  Check("global_avg_pool_forward").that(image.rows > 0, "empty images").floating("x", x, n * image.size()).is("y", y, x.dtype, n * image.c);
  const OpClock clock(e, "global_avg_pool_forward");
  do_global_avg_pool_forward(e, n, image, x, y);
}

void Backend::global_avg_pool_backward(Exec& e, int64_t n, RowShape image, Buffer dy, Into dx) {
  Check("global_avg_pool_backward")
      .that(image.rows > 0, "empty images")
      .floating("dy", dy, n * image.c)
      .is("dx", dx.buffer, dy.dtype, n * image.size());
  const OpClock clock(e, "global_avg_pool_backward");
  do_global_avg_pool_backward(e, n, image, dy, dx);
}

void Backend::softmax(Exec& e, SoftmaxShape s, Buffer logits, Buffer p) {
  Check("softmax").floating("logits", logits, s.rows * s.classes).is("p", p, wide(logits.dtype), s.rows * s.classes);
  const OpClock clock(e, "softmax");
  do_softmax(e, s, logits, p);
}

void Backend::softmax_cross_entropy_forward(Exec& e, SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p,
                                            Buffer losses, Into loss) {
  const DType t = wide(logits.dtype);
  Check("softmax_cross_entropy_forward")
      .floating("logits", logits, s.rows * s.classes)
      .is("labels", labels, DType::int32, s.rows)
      .is("class_weights", class_weights, t, s.classes)
      .is("p", p, t, s.rows * s.classes)
      .is("losses", losses, t, s.rows)
      .is("loss", loss.buffer, t, 1);
  const OpClock clock(e, "softmax_cross_entropy_forward");
  do_softmax_cross_entropy_forward(e, s, logits, labels, class_weights, p, losses, loss);
}

void Backend::softmax_cross_entropy_backward(Exec& e, SoftmaxShape s, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss,
                                             Into dlogits) {
  const DType t = wide(dlogits.buffer.dtype);
  Check("softmax_cross_entropy_backward")
      .is("p", p, t, s.rows * s.classes)
      .is("labels", labels, DType::int32, s.rows)
      .is("class_weights", class_weights, t, s.classes)
      .is("dloss", dloss, t, 1)
      .floating("dlogits", dlogits.buffer, s.rows * s.classes);
  const OpClock clock(e, "softmax_cross_entropy_backward");
  do_softmax_cross_entropy_backward(e, s, p, labels, class_weights, dloss, dlogits);
}

void Backend::sum_squares(Exec& e, double factor, Buffer x, Into sum) {
  Check("sum_squares").floating("x", x, x.size).is("sum", sum.buffer, wide(x.dtype), 1);
  const OpClock clock(e, "sum_squares");
  do_sum_squares(e, factor, x, sum);
}

void Backend::optimizer_step(Exec& e, const OptimizerRule& rule, std::span<const OptimizerSlot> slots, const StepState& state) {
  check_slots("optimizer_step", slots, rule.states());
  Check("optimizer_step")
      .is("iterations", state.iterations, DType::int32, 1)
      .optional("finite", state.finite, DType::int32, 1)
      .optional("learning_rate", state.learning_rate, DType::float32, 1);
  const OpClock clock(e, "optimizer_step");
  do_optimizer_step(e, rule, slots, state);
}

void Backend::unscale(Exec& e, std::span<const OptimizerSlot> slots, Buffer scale, Buffer finite) {
  check_slots("unscale", slots, 0);
  Check("unscale").is("scale", scale, DType::float32, 1).is("finite", finite, DType::int32, 1);
  const OpClock clock(e, "unscale");
  do_unscale(e, slots, scale, finite);
}

void Backend::update_loss_scale(Exec& e, const LossScaleState& s, Buffer finite) {
  Check("update_loss_scale")
      .is("scale", s.scale, DType::float32, 1)
      .is("counter", s.counter, DType::int32, 1)
      .is("finite", finite, DType::int32, 1)
      .that(s.growth_steps > 0, "growth_steps must be positive");
  const OpClock clock(e, "update_loss_scale");
  do_update_loss_scale(e, s, finite);
}

void Backend::all_finite(Exec& e, Buffer x, Buffer finite) {
  Check("all_finite").floating("x", x, x.size).is("finite", finite, DType::int32, 1);
  const OpClock clock(e, "all_finite");
  do_all_finite(e, x, finite);
}

void Backend::augment(Exec& e, const AugmentShape& s, std::span<const AugmentImage> images, Buffer x, const Preprocess& pre, Buffer y) {
  Check("augment")
      .that(s.c == 1 || s.c == 3, "images have 1 or 3 channels")
      .that(int64_t(images.size()) == s.n, "one AugmentImage for each image")
      .that(s.stored == 0 ||
                std::all_of(images.begin(), images.end(), [&](const AugmentImage& i) { return i.stored >= 0 && i.stored < s.stored; }),
            "an image is not among those stored")
      .is("x", x, DType::uint8, (s.stored > 0 ? s.stored : s.n) * s.h * s.w * s.c)
      .floating("y", y, s.n * s.h * s.w * 3);
  const OpClock clock(e, "augment");
  do_augment(e, s, images, x, pre, y);
}

void Backend::resize_bilinear(Exec& e, const ResizeShape& s, Buffer x, Buffer y) {
  Check("resize_bilinear")
      .that(s.h > 0 && s.w > 0 && s.c > 0 && s.out_h > 0 && s.out_w > 0, "empty image")
      .is("x", x, DType::uint8, s.h * s.w * s.c)
      .is("y", y, DType::float32, s.out_h * s.out_w * s.c);
  const OpClock clock(e, "resize_bilinear");
  do_resize_bilinear(e, s, x, y);
}

}  // namespace ptrain
