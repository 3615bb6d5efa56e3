// Every public operation refuses buffers of the wrong size or type, and shapes that mean nothing, before anything is touched. The
// meta backend computes nothing, so buffers here need no memory.
#include <functional>

#include "kernels/backend.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;

namespace {

using Buffers = std::vector<Buffer>;
constexpr DType f = DType::float16, p = DType::float32, i4 = DType::int32, u1 = DType::uint8;  // activations, parameters, integers, pixels

struct Argument {
  const char* name;  // as the message names it; null: not checked
  DType dtype;
  int64_t size;
};

struct Call {
  const char* op;
  std::vector<Argument> arguments;
  std::function<void(Backend&, Exec&, const Buffers&)> run;
};

const ConvShape conv{.n = 2, .h = 4, .w = 5, .c = 3, .k = 6, .r = 3, .s = 3};  // y: 2×2×3×6
const DepthwiseShape depthwise{.n = 2, .h = 4, .w = 5, .c = 3};                // y: 2×2×3×3
const PoolShape pool{.n = 2, .h = 4, .w = 5, .c = 3};                          // y: 2×2×2×3
const PadShape pad{.n = 2, .h = 4, .w = 5, .c = 3, .top = 1};                  // y: 2×5×5×3
const OptimizerRule adam;

// Backend k, Exec e, buffers b.
#define CALL(...) [](Backend& k, Exec& e, const Buffers& b) { __VA_ARGS__; }

OptimizerSlot slot(const Buffers& b) { return {b[0], b[1], {b[2], b[3], {}}, b[4]}; }

// clang-format off
const Call kCalls[] = {
    {"conv_forward", {{"x", f, 120}, {"w", f, 162}, {"y", f, 72}}, CALL(k.conv_forward(e, conv, b[0], b[1], b[2]))},
    {"conv_backward_data", {{"dy", f, 72}, {"w", f, 162}, {"dx", f, 120}}, CALL(k.conv_backward_data(e, conv, b[0], b[1], {b[2]}))},
    {"conv_backward_filter", {{"x", f, 120}, {"dy", f, 72}, {"dw", p, 162}}, CALL(k.conv_backward_filter(e, conv, b[0], b[1], {b[2]}))},
    {"depthwise_forward", {{"x", f, 120}, {"w", f, 27}, {"y", f, 36}}, CALL(k.depthwise_forward(e, depthwise, b[0], b[1], b[2]))},
    {"depthwise_backward_data", {{"dy", f, 36}, {"w", f, 27}, {"dx", f, 120}},
     CALL(k.depthwise_backward_data(e, depthwise, b[0], b[1], {b[2]}))},
    {"depthwise_backward_filter", {{"x", f, 120}, {"dy", f, 36}, {"dw", f, 27}},
     CALL(k.depthwise_backward_filter(e, depthwise, b[0], b[1], {b[2]}))},
    {"pack_conv", {{"w", f, 162}, {"scale", p, 6}, {"shift", p, 6}}, CALL(k.pack_conv(e, {conv}, b[0], b[1], b[2]))},
    {"pack_depthwise", {{"w", f, 27}, {"scale", p, 3}, {"shift", p, 3}}, CALL(k.pack_depthwise(e, {depthwise}, b[0], b[1], b[2]))},
    {"conv_bn_act", {{"x", f, 120}, {"residual", f, 72}, {"y", f, 72}},
     CALL(k.conv_bn_act(e, {conv, Act::none, true}, b[0], {}, b[1], b[2]))},
    {"depthwise_bn_act", {{"x", f, 120}, {"residual", f, 36}, {"y", f, 36}},
     CALL(k.depthwise_bn_act(e, {depthwise, Act::none, true}, b[0], {}, b[1], b[2]))},
    {"dense_forward", {{"x", f, 8}, {"w", f, 12}, {"y", f, 6}}, CALL(k.dense_forward(e, {2, 4, 3}, b[0], b[1], b[2]))},
    {"dense_backward_data", {{"dy", f, 6}, {"w", f, 12}, {"dx", f, 8}}, CALL(k.dense_backward_data(e, {2, 4, 3}, b[0], b[1], {b[2]}))},
    {"dense_backward_filter", {{"x", f, 8}, {"dy", f, 6}, {"dw", f, 12}}, CALL(k.dense_backward_filter(e, {2, 4, 3}, b[0], b[1], {b[2]}))},
    {"bias_act_forward", {{"x", f, 8}, {"b", p, 4}, {"y", f, 8}}, CALL(k.bias_act_forward(e, {2, 4}, Act::relu, b[0], b[1], b[2]))},
    {"bias_backward", {{"dy", f, 8}, {"db", p, 4}}, CALL(k.bias_backward(e, {2, 4}, b[0], {b[1]}))},
    {"norm_train_forward",
     {{"x", f, 8}, {"gamma", p, 4}, {"beta", p, 4}, {"moving_mean", p, 4}, {"moving_variance", p, 4}, {"mean", p, 4}, {"inv_std", p, 4},
      {"y", f, 8}},
     CALL(k.norm_train_forward(e, {.rows = 2, .c = 4}, {b[0], b[1], b[2], b[3], b[4], 0.9, b[5], b[6], b[7]}))},
    {"norm_infer_forward", {{"x", f, 8}, {"gamma", p, 4}, {"beta", p, 4}, {"mean", p, 4}, {"variance", p, 4}, {"y", f, 8}},
     CALL(k.norm_infer_forward(e, {.rows = 2, .c = 4}, {b[0], b[1], b[2], b[3], b[4], b[5]}))},
    {"norm_apply", {{"x", f, 8}, {"gamma", p, 4}, {"beta", p, 4}, {"mean", p, 4}, {"inv_std", p, 4}, {"y", f, 8}},
     CALL(k.norm_apply(e, {.rows = 2, .c = 4}, {b[0], b[1], b[2], b[3], b[4], b[5]}))},
    {"norm_train_backward",
     {{"x", f, 8}, {"dy", f, 8}, {"gamma", p, 4}, {"beta", p, 4}, {"mean", p, 4}, {"inv_std", p, 4}, {"dx", f, 8},
      {"dgamma", p, 4}, {"dbeta", p, 4}},
     CALL(k.norm_train_backward(e, {.rows = 2, .c = 4, .act = Act::relu},
                                {b[0], {}, b[1], b[2], b[3], b[4], b[5], {}, {b[6]}, {b[7]}, {b[8]}}))},
    {"norm_infer_backward",
     {{"x", f, 8}, {"y", f, 8}, {"dy", f, 8}, {"gamma", p, 4}, {"mean", p, 4}, {"variance", p, 4}, {"dx", f, 8},
      {"dgamma", p, 4}, {"dbeta", p, 4}},
     CALL(k.norm_infer_backward(e, {.rows = 2, .c = 4, .act = Act::relu},
                                {b[0], b[1], b[2], b[3], {}, b[4], {}, b[5], {b[6]}, {b[7]}, {b[8]}}))},
    {"act_forward", {{nullptr, f, 8}, {"y", f, 8}}, CALL(k.act_forward(e, Act::relu, b[0], b[1]))},
    {"act_backward", {{nullptr, f, 8}, {"dy", f, 8}, {"dx", f, 8}}, CALL(k.act_backward(e, Act::relu, b[0], b[1], {b[2]}))},
    {"add_act", {{nullptr, f, 8}, {"b", f, 8}, {"y", f, 8}}, CALL(k.add_act(e, Act::relu, b[0], b[1], b[2]))},
    {"scale_shift_act", {{"x", f, 10}, {"scale", p, 4}, {"shift", p, 4}, {"y", f, 8}},
     CALL(k.scale_shift_act(e, {.rows = 2, .c = 4, .x_width = 5}, b[0], b[1], b[2], b[3]))},
    {"dropout", {{"x", f, 8}, {"samples", i4, 2}, {"epoch", i4, 1}, {"y", f, 8}},
     CALL(k.dropout(e, {.rows = 2, .c = 4, .rate = 0.5f}, b[0], b[1], b[2], {b[3]}))},
    {"zero_pad_forward", {{"x", f, 120}, {"y", f, 150}}, CALL(k.zero_pad_forward(e, pad, b[0], b[1]))},
    {"zero_pad_backward", {{"dy", f, 150}, {"dx", f, 120}}, CALL(k.zero_pad_backward(e, pad, b[0], {b[1]}))},
    {"copy_channels", {{"from", f, 10}, {"to", f, 14}},
     CALL(k.copy_channels(e, {.rows = 2, .count = 3, .from_width = 5, .to_width = 7}, b[0], {b[1]}))},
    {"max_pool_forward", {{"x", f, 120}, {"y", f, 24}, {"argmax", u1, 24}}, CALL(k.max_pool_forward(e, pool, b[0], b[1], b[2]))},
    {"max_pool_backward", {{"argmax", u1, 24}, {"dy", f, 24}, {"dx", f, 120}}, CALL(k.max_pool_backward(e, pool, b[0], b[1], {b[2]}))},
    {"avg_pool_forward", {{"x", f, 120}, {"y", f, 24}}, CALL(k.avg_pool_forward(e, pool, b[0], b[1]))},
    {"avg_pool_backward", {{"dy", f, 24}, {"dx", f, 120}}, CALL(k.avg_pool_backward(e, pool, b[0], {b[1]}))},
    {"global_avg_pool_forward", {{"x", f, 24}, {"y", f, 8}}, CALL(k.global_avg_pool_forward(e, 2, {3, 4}, b[0], b[1]))},
    {"global_avg_pool_backward", {{"dy", f, 8}, {"dx", f, 24}}, CALL(k.global_avg_pool_backward(e, 2, {3, 4}, b[0], {b[1]}))},
    {"softmax", {{"logits", f, 8}, {"p", p, 8}}, CALL(k.softmax(e, {2, 4}, b[0], b[1]))},
    {"softmax_cross_entropy_forward", {{"logits", f, 8}, {"labels", i4, 2}, {"class_weights", p, 4}, {"p", p, 8}, {"losses", p, 2},
      {"loss", p, 1}},
     CALL(k.softmax_cross_entropy_forward(e, {2, 4}, b[0], b[1], b[2], b[3], b[4], {b[5]}))},
    {"softmax_cross_entropy_backward", {{"p", p, 8}, {"labels", i4, 2}, {"class_weights", p, 4}, {"dloss", p, 1}, {"dlogits", f, 8}},
     CALL(k.softmax_cross_entropy_backward(e, {2, 4}, b[0], b[1], b[2], b[3], {b[4]}))},
    {"sum_squares", {{nullptr, f, 8}, {"sum", p, 1}}, CALL(k.sum_squares(e, 1, b[0], {b[1]}))},
    {"optimizer_step", {{nullptr, p, 8}, {"dw", f, 8}, {"state", p, 8}, {"state", p, 8}, {"copy", f, 8}, {"iterations", i4, 1},
      {"finite", i4, 1}, {"learning_rate", p, 1}},
     CALL(const OptimizerSlot s = slot(b); k.optimizer_step(e, adam, {&s, 1}, {b[5], b[6], b[7]}))},
    {"unscale", {{nullptr, p, 8}, {"dw", f, 8}, {nullptr, p, 8}, {nullptr, p, 8}, {"copy", f, 8}, {"scale", p, 1}, {"finite", i4, 1}},
     CALL(const OptimizerSlot s = slot(b); k.unscale(e, {&s, 1}, b[5], b[6]))},
    {"update_loss_scale", {{"scale", p, 1}, {"counter", i4, 1}, {"finite", i4, 1}}, CALL(k.update_loss_scale(e, {b[0], b[1]}, b[2]))},
    {"all_finite", {{nullptr, f, 8}, {"finite", i4, 1}}, CALL(k.all_finite(e, b[0], b[1]))},
    {"augment", {{"x", u1, 24}, {"y", f, 72}},
     CALL(const AugmentImage images[2]; k.augment(e, {.n = 2, .h = 3, .w = 4, .c = 1}, images, b[0], {}, b[1]))},
    {"resize_bilinear", {{"x", u1, 12}, {"y", p, 20}},
     CALL(k.resize_bilinear(e, {.h = 3, .w = 4, .c = 1, .out_h = 4, .out_w = 5}, b[0], b[1]))},
};
// clang-format on

// Runs the call; the message of its error, or "" when there was none.
std::string error_of(Backend& backend, Exec& exec, const std::function<void(Backend&, Exec&)>& call) {
  try {
    call(backend, exec);
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("every operation names the argument that has the wrong size or type") {
  const auto backend = make_meta_backend();
  const auto exec = backend->make_exec(1);
  for (const Call& c : kCalls) {
    CAPTURE(c.op);
    Buffers right;
    for (const Argument& a : c.arguments) right.push_back({nullptr, a.dtype, a.size});
    const auto error = [&](const Buffers& b) { return error_of(*backend, *exec, [&](Backend& k, Exec& e) { c.run(k, e, b); }); };
    CHECK(error(right) == "");
    for (size_t i = 0; i < right.size(); ++i) {
      if (!c.arguments[i].name) continue;
      const std::string name = concat(c.op, ": ", c.arguments[i].name, " ");
      CAPTURE(name);
      Buffers larger = right, typed = right;
      ++larger[i].size;
      CHECK(error(larger).starts_with(concat(name, "has ")));
      typed[i].dtype = is_floating(right[i].dtype) ? i4 : f;
      CHECK(error(typed) != "");
    }
  }
}

TEST_CASE("shapes that mean nothing are refused") {
  const auto backend = make_meta_backend();
  const auto exec = backend->make_exec(1);
  const auto refused = [&](const std::function<void(Backend&, Exec&)>& call) { return error_of(*backend, *exec, call) != ""; };
  const auto floats = [](int64_t n) { return Buffer{nullptr, f, n}; };
  for (ConvShape s : {ConvShape{.n = 0, .h = 4, .w = 4, .c = 3, .k = 2},
                      {.n = 1, .h = 4, .w = 4, .c = 0, .k = 2},
                      {.n = 1, .h = 4, .w = 4, .c = 3, .k = 2, .stride = 0},
                      {.n = 1, .h = 4, .w = 4, .c = 3, .k = 2, .pad_h = -1},
                      {.n = 1, .h = 2, .w = 4, .c = 3, .k = 2, .r = 3, .s = 3},
                      {.n = 1, .h = 4, .w = 4, .c = 3, .k = 2, .more_w = -1}})
    CHECK(refused([&](Backend& k, Exec& e) { k.conv_forward(e, s, floats(s.x_size()), floats(s.w_size()), floats(s.y_size())); }));
  for (PoolShape s : {PoolShape{.n = 1, .h = 4, .w = 4, .c = 1, .window = 2, .stride = 2, .pad = 2},
                      {.n = 1, .h = 4, .w = 4, .c = 1, .window = 0},
                      {.n = 1, .h = 1, .w = 4, .c = 1}})
    CHECK(refused([&](Backend& k, Exec& e) { k.max_pool_forward(e, s, floats(s.x_size()), floats(s.y_size())); }));
  for (PadShape s :
       {PadShape{.n = 1, .h = 4, .w = 4, .c = 1, .top = -1, .bottom = 2}, {.n = 1, .h = 4, .w = 4, .c = 1, .left = 1, .right = -1}})
    CHECK(refused([&](Backend& k, Exec& e) { k.zero_pad_forward(e, s, floats(s.x_size()), floats(s.y_size())); }));
  for (ChannelCopy s : {ChannelCopy{.rows = 2, .count = 3, .from_width = 2, .to_width = 3},
                        {.rows = 2, .count = 3, .from_width = 3, .to_width = 4, .to = 2},
                        {.rows = 2, .count = 0, .from_width = 3, .to_width = 4}})
    CHECK(refused([&](Backend& k, Exec& e) { k.copy_channels(e, s, floats(2 * s.from_width), {floats(2 * s.to_width)}); }));
  CHECK(refused([&](Backend& k, Exec& e) {
    k.dropout(e, {.rows = 1, .c = 2, .rate = 1}, floats(2), {nullptr, i4, 1}, {nullptr, i4, 1}, {floats(2)});
  }));
  CHECK(refused([&](Backend& k, Exec& e) {
    k.augment(e, {.n = 1, .h = 2, .w = 2, .c = 2}, std::vector<AugmentImage>(1), {nullptr, u1, 8}, {}, floats(12));
  }));
  CHECK(refused([&](Backend& k, Exec& e) {
    k.augment(e, {.n = 2, .h = 2, .w = 2, .c = 1}, std::vector<AugmentImage>(1), {nullptr, u1, 8}, {}, floats(24));
  }));
  CHECK(refused([&](Backend& k, Exec& e) { k.update_loss_scale(e, {{nullptr, p, 1}, {nullptr, i4, 1}, 0}, {nullptr, i4, 1}); }));
  CHECK(refused([&](Backend& k, Exec& e) {
    k.resize_bilinear(e, {.h = 0, .w = 1, .c = 1, .out_h = 1, .out_w = 1}, {nullptr, u1, 0}, {nullptr, p, 1});
  }));
}
