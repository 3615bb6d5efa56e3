// The emulated CUDA backend trains as the CPU does.
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 64, kImages = 4;

// Ten losses of MobileNetV2 from formula weights: head and the top 30 % with Adam at 1e-4, on batches of four.
std::vector<double> ten_losses(DeviceKind device, DType type) {
  const std::shared_ptr<Memory> memory = open_device({device});
  Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .classes = {"a", "b"}}, memory);
  formula_weights(model.params, "MobileNetV2");
  set_precision(model, type);
  freeze(model, {.name = "", .cut = cut_for_top_fraction(model, 0.3)}, BnMode::inference);
  const Tensor images = Tensor::from(formula_input(kImages, kSide, kSide), {kImages, kSide, kSide, 3}, DType::float32, memory);
  const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
    const int64_t size = kSide * kSide * 3;
    for (size_t i = 0; i < which.size(); ++i) c.copy_as(images.buffer().slice(which[i] * size, size), x.slice(int64_t(i) * size, size));
  };
  const bool host = memory->backend().is_host();
  StepperOptions options{.runner = {.shard = host ? 1 : 4, .group = host ? 2 : 4, .compute = type}, .rule = {}, .class_weights = {1.5f, 0.75f}, .seed = 3};
  if (type == DType::float16) options.scaling = LossScaling{};
  Workers workers(memory->shared_backend(), 1);
  Stepper stepper(model, workers, options);
  std::vector<double> losses;
  for (int i = 0; i < 10; ++i) {
    stepper.prepare({.images = {0, 1, 2, 3}, .labels = {0, 1, 1, 0}, .epoch = uint32_t(i)}, source);
    losses.push_back(stepper.step(1e-4).loss);
  }
  CHECK(stepper.iterations() == 10);
  return losses;
}

}  // namespace

TEST_CASE("cuda-sim gives the CPU's ten losses, and float16's with a loss scale are near") {
  const std::vector<double> cpu = ten_losses(DeviceKind::cpu, DType::float32);
  double furthest = 0;
  for (const double v : cpu) furthest = std::max(furthest, std::fabs(v - cpu[0]));
  REQUIRE(furthest > 1e-2);  // it trains
  const std::vector<double> sim = ten_losses(DeviceKind::cuda_sim, DType::float32);
  std::string text = difference(sim, cpu, 1e-4, 0);
  CHECK_MESSAGE(text.empty(), "float32: ", text);
  text = difference(sim, cpu, 0, 1e-4);
  CHECK_MESSAGE(text.empty(), "float32, relative: ", text);
  text = difference(ten_losses(DeviceKind::cuda_sim, DType::float16), cpu, 2e-2, 0);
  CHECK_MESSAGE(text.empty(), "float16: ", text);
}
