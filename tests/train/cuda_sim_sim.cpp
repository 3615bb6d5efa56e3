// The emulated GPU trains as the CPU does.
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 64, kImages = 4;

// Ten steps of MobileNetV2 from formula weights on four images: the losses. Layers before `cut` are frozen.
std::vector<double> ten_losses(DeviceKind device, size_t cut) {
  const std::shared_ptr<Memory> memory = open_device({device});
  Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .head = {.dropout = {0.3, 0.3}, .l2 = 1e-3}, .classes = {"a", "b"}}, memory);
  formula_weights(model.params, "MobileNetV2");
  freeze(model, {.name = "", .cut = cut}, BnMode::inference);
  const std::vector<float> images = formula_input(kImages, kSide, kSide);
  const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
    const int64_t size = kSide * kSide * 3;
    if (c.memory->device().kind == DeviceKind::meta) return;
    for (size_t i = 0; i < which.size(); ++i) c.backend.upload(c.exec, images.data() + which[i] * size, x.slice(int64_t(i) * size, size));
    c.exec.synchronize();
  };
  Workers workers(memory->shared_backend(), 1);
  Stepper stepper(model, workers, {.runner = {.shard = kImages, .group = kImages}, .rule = {.kind = OptimizerKind::adam}, .class_weights = {1.5, 0.75}, .seed = 3});
  std::vector<double> losses;
  for (uint32_t step = 0; step < 10; ++step) {
    stepper.prepare({.images = {0, 1, 2, 3}, .labels = {1, 0, 1, 1}, .epoch = step}, source);
    losses.push_back(stepper.step(1e-4).loss);
  }
  return losses;
}

void check_losses(size_t cut) {
  const std::vector<double> got = ten_losses(DeviceKind::cuda_sim, cut), want = ten_losses(DeviceKind::cpu, cut);
  double furthest = 0;
  for (const double v : want) furthest = std::max(furthest, std::fabs(v - want[0]));
  REQUIRE(furthest > 1e-2);  // it trains
  const std::string text = difference(got, want, 0, 1e-4);
  CHECK_MESSAGE(text.empty(), text);
}

}  // namespace

TEST_CASE("ten losses of fine-tuning on cuda-sim are the CPU's") { check_losses(107); }
