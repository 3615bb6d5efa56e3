// Tensors of two devices never meet in one operation; a pass on meta computes shapes alone.
#include <functional>

#include "kernels/meta/meta.hpp"
#include "tensor/ops.hpp"
#include "tests/support/grad.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// Every operation over one tensor `x` and one parameter `w` of its own; both are given by shape.
struct Operation {
  const char* name;
  Shape x, w;  // w empty: the operation has none
  DType w_type = DType::float32;
  std::function<Tensor(Context&, const Tensor& x, const Tensor& w)> run;
  Shape y;
};

constexpr DType f = DType::float32, i4 = DType::int32;
#define OP(...) []([[maybe_unused]] Context& c, const Tensor& x, [[maybe_unused]] const Tensor& w) { return __VA_ARGS__; }

// clang-format off
const Operation kOperations[] = {
    {"conv", {2, 5, 5, 3}, {3, 3, 3, 4}, f, OP(conv(c, x, w, {.stride = 2, .pad_h = 1, .pad_w = 1})), {2, 3, 3, 4}},
    {"depthwise_conv", {2, 5, 5, 3}, {3, 3, 3, 1}, f, OP(depthwise_conv(c, x, w, {})), {2, 3, 3, 3}},
    {"dense", {2, 5}, {5, 3}, f, OP(dense(c, x, w)), {2, 3}},
    {"bias_act", {2, 5}, {5}, f, OP(bias_act(c, x, w, Act::relu)), {2, 5}},
    {"norm_train", {2, 5}, {5}, f, OP(norm_train(c, x, {.gamma = w, .beta = w, .moving_mean = w, .moving_variance = w})), {2, 5}},
    {"norm_infer", {2, 5}, {5}, f, OP(norm_infer(c, x, {.beta = w, .moving_mean = w, .moving_variance = w, .act = Act::relu})), {2, 5}},
    {"activation", {2, 5}, {}, f, OP(activation(c, x, Act::relu6)), {2, 5}},
    {"add", {2, 5}, {2, 5}, f, OP(add(c, x, w, Act::relu)), {2, 5}},
    {"dropout", {2, 5}, {2}, i4, OP(dropout(c, x, 0.5f, {}, w, c.tensor({1}, i4))), {2, 5}},
    {"zero_pad", {1, 2, 3, 4}, {}, f, OP(zero_pad(c, x, {.bottom = 1})), {1, 3, 3, 4}},
    {"concat_channels", {1, 2, 3, 4}, {1, 2, 3, 2}, f, OP(concat_channels(c, {x, w})), {1, 2, 3, 6}},
    {"max_pool", {1, 4, 4, 3}, {}, f, OP(max_pool(c, x, {})), {1, 2, 2, 3}},
    {"avg_pool", {1, 4, 4, 3}, {}, f, OP(avg_pool(c, x, {})), {1, 2, 2, 3}},
    {"global_avg_pool", {2, 4, 4, 3}, {}, f, OP(global_avg_pool(c, x)), {2, 3}},
    {"softmax_cross_entropy", {2, 3}, {2}, i4,
     OP(softmax_cross_entropy(c, x, w, Tensor({3}, DType::float32, x.memory())).loss), {1}},
    {"softmax", {2, 3}, {}, f, OP(softmax(c, x)), {2, 3}},
};
// clang-format on

std::string message_of(const std::function<void()>& f) {
  try {
    f();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

}  // namespace

TEST_CASE("an operation with tensors of another device names both") {
  ReferencePass pass;
  Context c = pass.context();
  const auto cpu = open_device({DeviceKind::cpu});
  for (const Operation& op : kOperations) {
    CAPTURE(op.name);
    for (const bool foreign_x : {true, false}) {
      if (!foreign_x && op.w.rank() == 0) continue;
      const Tensor x(op.x, DType::float32, foreign_x ? cpu : pass.memory);
      const Tensor w = op.w.rank() ? Tensor(op.w, op.w_type, foreign_x ? pass.memory : cpu) : Tensor();
      const std::string message = message_of([&] { op.run(c, x, w); });
      CHECK(message.starts_with(std::string(op.name) + ": "));
      CHECK(message.find(" cpu") != std::string::npos);
      CHECK(message.find(" reference") != std::string::npos);
    }
  }
}

TEST_CASE("every operation runs forward and backward on meta and notes its cost") {
  const auto memory = open_device({DeviceKind::meta});
  for (const Operation& op : kOperations) {
    CAPTURE(op.name);
    meta::MetaExec exec;
    Tape tape;
    Context c{memory->backend(), exec, memory, tape};
    const Tensor x(op.x, DType::float32, memory), w = op.w.rank() ? Tensor(op.w, op.w_type, memory) : Tensor();
    tape.watch(x);
    if (op.w.rank() && op.w_type == DType::float32) tape.watch(w);
    const Tensor y = op.run(c, x, w);
    CHECK(y.shape() == op.y);
    CHECK(!exec.costs.empty());
    if (std::string(op.name) == "softmax") continue;  // for inference: not recorded
    tape.backward(c, y, Tensor(y.shape(), y.dtype(), memory));
    CHECK(tape.grad(x).shape() == x.shape());
    if (op.w.rank() && op.w_type == DType::float32) CHECK(tape.grad(w).shape() == w.shape());
  }
}

TEST_CASE("a pass on meta may plan with tensors of a real device") {
  const auto memory = open_device({DeviceKind::meta});
  const ReferencePass real;
  meta::MetaExec exec;
  Tape tape;
  Context c{memory->backend(), exec, memory, tape};
  const Tensor y = dense(c, real.random({2, 5}), real.random({5, 3}));
  CHECK(y.device() == Device{DeviceKind::meta});
  REQUIRE(exec.costs.size() == 1);
  CHECK(exec.costs[0].macs == 30);
  CHECK(exec.costs[0].bytes == (10 + 15 + 6) * 8);
}

TEST_CASE("operations say which shapes do not fit") {
  ReferencePass pass;
  Context c = pass.context();
  const auto t = [&](Shape s) { return Tensor(s, DType::float64, pass.memory); };
  const std::pair<const char*, std::function<void()>> wrong[] = {
      {"conv: ",
       [&] {
         conv(c, t({1, 4, 4, 3}), t({3, 3, 2, 4}), {});
       }},
      {"conv: ",
       [&] {
         conv(c, t({4, 4, 3}), t({3, 3, 3, 4}), {});
       }},
      {"conv: ",
       [&] {
         conv(c, t({1, 2, 4, 3}), t({3, 3, 3, 4}), {});
       }},
      {"conv: ",
       [&] {
         conv(c, t({1, 4, 4, 3}), t({3, 3, 3, 4}), {.stride = 0});
       }},
      {"depthwise_conv: ",
       [&] {
         depthwise_conv(c, t({1, 4, 4, 3}), t({3, 3, 3, 2}), {});
       }},
      {"dense: ",
       [&] {
         dense(c, t({2, 4}), t({3, 4}));
       }},
      {"bias_act: ",
       [&] {
         bias_act(c, t({2, 4}), t({3}), Act::none);
       }},
      {"batch norm: ",
       [&] {
         norm_train(c, t({2, 4}), {.beta = t({3}), .moving_mean = t({4}), .moving_variance = t({4})});
       }},
      {"batch norm: ",
       [&] {
         norm_infer(c, t({2, 4}), {.gamma = t({3}), .beta = t({4}), .moving_mean = t({4}), .moving_variance = t({4})});
       }},
      {"add: ",
       [&] {
         add(c, t({2, 4}), t({4, 2}));
       }},
      {"dropout: ",
       [&] {
         dropout(c, t({2, 4}), 1, {}, Tensor({2}, DType::int32, pass.memory), Tensor({1}, DType::int32, pass.memory));
       }},
      {"zero_pad: ",
       [&] {
         zero_pad(c, t({2, 4}), {});
       }},
      {"concat_channels: ",
       [&] {
         concat_channels(c, {t({1, 2, 2, 3}), t({1, 2, 3, 3})});
       }},
      {"concat_channels: ", [&] { concat_channels(c, {}); }},
      {"max_pool: ",
       [&] {
         max_pool(c, t({1, 1, 4, 3}), {});
       }},
      {"avg_pool: ",
       [&] {
         avg_pool(c, t({4, 3}), {});
       }},
      {"global_avg_pool: ",
       [&] {
         global_avg_pool(c, t({4, 3}));
       }},
      {"softmax_cross_entropy: ",
       [&] {
         softmax_cross_entropy(c, t({2, 3}), Tensor({3}, DType::int32, pass.memory), t({3}));
       }},
  };
  for (const auto& [prefix, call] : wrong) CHECK(message_of(call).starts_with(prefix));
}
