// What one step adds up: groups of images and the L2 term.
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 64, kImages = 4;
constexpr double kRate = 1e-2;

// A parameter before and after one step of plain gradient descent on four images, the top of the net trainable.
struct Step {
  std::vector<double> before, after;
};
Step one_step(int64_t group, double l2, const std::string& key) {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .head = {.dropout = {0, 0}, .l2 = l2}, .classes = {"a", "b"}},
              memory);
  formula_weights(model.params, "MobileNetV2");
  freeze(model, {.name = "", .cut = cut_for_top_fraction(model, 0.3)}, BnMode::inference);
  const std::vector<float> images = formula_input(kImages, kSide, kSide);
  const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
    const int64_t size = kSide * kSide * 3;
    for (size_t i = 0; i < which.size(); ++i)
      if (c.backend.is_host()) c.backend.upload(c.exec, images.data() + which[i] * size, x.slice(int64_t(i) * size, size));
  };
  Workers workers(memory->shared_backend(), 1);
  Stepper stepper(model, workers, {.runner = {.shard = 1, .group = group}, .rule = {.kind = OptimizerKind::sgd}, .class_weights = {1, 1}});
  Step step{.before = model.params.at(key).value.to_doubles(), .after = {}};
  stepper.prepare({.images = {0, 1, 2, 3}, .labels = {1, 0, 1, 1}}, source);
  stepper.step(kRate);
  step.after = model.params.at(key).value.to_doubles();
  return step;
}

double largest_change(const Step& s) {
  double most = 0;
  for (size_t i = 0; i < s.before.size(); ++i) most = std::max(most, std::fabs(s.after[i] - s.before[i]));
  return most;
}

}  // namespace

TEST_CASE("gradients of the groups are summed to the gradient of the batch") {
  const std::string key = "block_16_project/kernel";
  const Step whole = one_step(4, 1e-3, key), pairs = one_step(2, 1e-3, key), single = one_step(1, 1e-3, key),
             uneven = one_step(3, 1e-3, key);
  REQUIRE(largest_change(whole) > 1e-6);
  const double rounding = 1e-3 * largest_change(whole);
  for (const Step* s : {&pairs, &single, &uneven}) CHECK(difference(s->after, whole.after, rounding, 0) == "");
}

TEST_CASE("the L2 term adds its gradient to the kernels of the head once") {
  const double l2 = 0.05;
  const Step with = one_step(2, l2, "head_1/kernel"), without = one_step(2, 0, "head_1/kernel");
  std::vector<double> got, want;
  for (size_t i = 0; i < with.before.size(); ++i) {
    got.push_back(with.after[i] - without.after[i]);
    want.push_back(-kRate * 2 * l2 * with.before[i]);
  }
  CHECK(difference(got, want, 1e-7, 0) == "");
}
