// Steps that the device has as recordings: the same bits as operation by operation.
#include <cstdlib>
#include <limits>

#include "kernels/plugin.hpp"
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 32, kImages = 6;

struct Run {
  std::vector<double> losses, probabilities, scales, weights, state;
  std::vector<bool> skipped;
  int64_t iterations = 0, steps_recorded = 0, chains_recorded = 0;
};

struct Setup {
  int schedule = 0;
  DType compute = DType::float32;
  size_t cut = 140;  // of MobileNetV2's layers are frozen
  bool batch_statistics = false;
  int64_t group = 4;
  int bad_step = -1;  // the logits of this step are not finite
};

// Four epochs of two batches of four and a last one of two, with dropout, at a rate that changes in each step.
Run train(const Setup& o, bool record) {
  setenv("PTRAIN_GRAPHS", record ? "1" : "0", 1);
  const auto memory = std::make_shared<Pool>(make_cuda_sim_backend(o.schedule), Device{DeviceKind::cuda_sim});
  unsetenv("PTRAIN_GRAPHS");
  Model model({.net = "mobilenet_v2",
               .height = kSide,
               .width = kSide,
               .head = {.dense = {16}, .dropout = {0.5f}, .l2 = 1e-3},
               .classes = {"a", "b"}},
              memory);
  formula_weights(model.params, "MobileNetV2");
  set_precision(model, o.compute);
  freeze(model, {.name = "", .cut = o.cut}, o.batch_statistics ? BnMode::train : BnMode::inference);
  const Tensor images = Tensor::from(formula_input(kImages, kSide, kSide), {kImages, kSide, kSide, 3}, DType::float32, memory);
  const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
    const int64_t size = kSide * kSide * 3;
    for (size_t i = 0; i < which.size(); ++i) c.copy_as(images.buffer().slice(which[i] * size, size), x.slice(int64_t(i) * size, size));
  };
  StepperOptions options{.runner = {.shard = 4, .group = o.group, .batch_statistics = o.batch_statistics, .compute = o.compute},
                         .rule = {},
                         .class_weights = {1.5f, 0.75f},
                         .seed = 3};
  if (o.compute == DType::float16) options.scaling = LossScaling{};
  Workers workers(memory->shared_backend(), 1);
  Stepper stepper(model, workers, options);
  Run run;
  Tensor bias = model.params.at("head_out/bias").value;
  int step = 0;
  for (uint32_t epoch = 0; epoch < 4; ++epoch) {
    const std::vector<std::vector<int64_t>> batches{{0, 1, 2, 3}, {4, 5, 0, 2}, {1 + epoch % 2, 5}};
    for (const auto& batch : batches) {
      std::vector<int32_t> labels;
      for (const int64_t i : batch) labels.push_back(int32_t(i % 2));
      stepper.prepare({.images = batch, .labels = labels, .epoch = epoch}, source);
      const std::vector<float> good = bias.to_floats();
      if (step == o.bad_step) bias.upload(std::vector<float>{good[0], std::numeric_limits<float>::infinity()});
      const StepResult result = stepper.step(1e-3 / (1 + step));
      if (step++ == o.bad_step) bias.upload(good);
      run.losses.push_back(std::isfinite(result.loss) ? result.loss : -1);
      if (std::isfinite(result.loss))
        run.probabilities.insert(run.probabilities.end(), result.probabilities.begin(), result.probabilities.end());
      run.skipped.push_back(result.skipped);
      run.scales.push_back(result.loss_scale);
    }
  }
  for (const Param& p : model.params.list())
    for (const double w : p.value.to_doubles()) run.weights.push_back(w);
  for (const auto& [name, tensor] : stepper.state())
    for (const double v : tensor.to_doubles()) run.state.push_back(v);
  run.iterations = stepper.iterations();
  run.steps_recorded = stepper.recorded(), run.chains_recorded = stepper.runner().recorded();
  return run;
}

void same_with_and_without(const Setup& o) {
  const Run plain = train(o, false), recorded = train(o, true);
  CHECK(plain.steps_recorded == 0);
  CHECK(plain.chains_recorded == 0);
  CHECK(recorded.steps_recorded == 2);                        // batches of four and of two
  CHECK(recorded.chains_recorded == (o.group == 2 ? 1 : 2));  // in groups of two the frozen part runs on two images at a time
  CHECK(recorded.losses == plain.losses);
  CHECK(recorded.probabilities == plain.probabilities);
  CHECK(recorded.skipped == plain.skipped);
  CHECK(recorded.scales == plain.scales);
  CHECK(recorded.weights == plain.weights);
  CHECK(recorded.state == plain.state);
  CHECK(recorded.iterations == plain.iterations);
  CHECK(plain.iterations == 12 - (o.bad_step >= 0));
  CHECK(plain.losses.front() != plain.losses.back());
}

}  // namespace

TEST_CASE("recorded steps give the bits of steps that are not, the smaller last batch included") { same_with_and_without({.schedule = 2}); }

TEST_CASE("recorded steps in float16 skip what is not finite") {
  const Setup o{.compute = DType::float16, .bad_step = 7};
  same_with_and_without(o);
  CHECK(train(o, true).skipped[7]);
}

TEST_CASE("recorded steps with statistics of the batch, and in groups") {
  same_with_and_without({.batch_statistics = true});
  same_with_and_without({.group = 2});
}

TEST_CASE("recorded steps of a head on a frozen base") { same_with_and_without({.cut = 1000}); }
