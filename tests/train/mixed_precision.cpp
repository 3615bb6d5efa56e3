// Training in float16 and bfloat16: losses beside float32's, what the loss scale saves, what happens to steps that overflow.
#include <limits>

#include "layers/formula.hpp"
#include "layers/initialize.hpp"
#include "nets/head.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 32, kImages = 4;
constexpr size_t kTop = 107;  // of MobileNetV2's layers are frozen
const std::vector<int64_t> kAll{0, 1, 2, 3};
const std::vector<int32_t> kLabels{0, 1, 1, 0};

// Images by the formula.
ImageSource source() {
  const auto images = std::make_shared<std::vector<float>>(formula_input(kImages, kSide, kSide));
  return [images](std::span<const int64_t> which, Context& c, Buffer x) {
    if (c.memory->device().kind == DeviceKind::meta) return;
    const int64_t size = kSide * kSide * 3;
    for (size_t i = 0; i < which.size(); ++i) {
      const std::vector<float> image(images->begin() + which[i] * size, images->begin() + (which[i] + 1) * size);
      const Tensor t = Tensor::from(image, {size}, DType::float32, open_device(c.memory->device()));
      c.copy_as(t.buffer(), x.slice(int64_t(i) * size, size));
    }
  };
}

Model model_on(const std::shared_ptr<Memory>& memory, DType compute, size_t cut) {
  Model model(
      {.net = "mobilenet_v2", .height = kSide, .width = kSide, .head = {.dense = {16}, .dropout = {0}, .l2 = 1e-3}, .classes = {"a", "b"}},
      memory);
  formula_weights(model.params, "MobileNetV2");
  set_precision(model, compute);
  freeze(model, {.name = "", .cut = std::min(cut, model.base_layers().size())}, BnMode::inference);
  return model;
}

std::vector<double> all_weights(const Model& model) {
  std::vector<double> all;
  for (const Param& p : model.params.list()) {
    const std::vector<double> v = p.value.to_doubles();
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

// The gradients of the base's parameters at these weights, divided by the scale again.
std::map<std::string, std::vector<double>> gradients(Model& model, DType compute, double scale) {
  const std::shared_ptr<Memory>& memory = model.memory();
  const auto exec = memory->backend().make_exec(2);
  Tape base_tape, head_tape;
  Context base{memory->backend(), *exec, memory, base_tape}, top{memory->backend(), *exec, memory, head_tape};
  const Tensor x = base.tensor(model.input(kImages), compute);
  source()(kAll, base, x.buffer());
  Scope base_scope(base, model.params, {.record = true}), head_scope(top, model.params, {.record = true});
  const Tensor features = model.body(base_scope, x), pooled = top.tensor(features.shape(), DType::float32);
  top.copy_as(features.buffer(), pooled.buffer());
  head_tape.watch(pooled);
  const Tensor labels = Tensor::from(std::vector<float>(kLabels.begin(), kLabels.end()), {kImages}, DType::int32, memory);
  const CrossEntropy out = softmax_cross_entropy(top, model.head(head_scope, pooled), labels,
                                                 Tensor::from(std::vector<float>{1, 1}, {2}, DType::float32, memory));
  head_tape.backward(top, out.loss, Tensor::from(std::vector<double>{scale}, {1}, DType::float32, memory));
  const Tensor dfeatures = base.like(features);
  base.copy_as(head_tape.grad(pooled).buffer(), dfeatures.buffer());
  base_tape.backward(base, features, dfeatures);
  std::map<std::string, std::vector<double>> all;
  for (const Param& p : model.params.list()) {
    if (!p.trainable() || is_head_layer(p.layer)) continue;
    CHECK(base_tape.grad(p.compute()).dtype() == DType::float32);
    std::vector<double>& g = all[p.key()] = base_tape.grad(p.compute()).to_doubles();
    for (double& v : g) v /= scale;
  }
  return all;
}

// The largest fraction, over the parameters, of elements that are not zero in `want` and zero in `got`, and where.
std::pair<double, std::string> lost(const std::map<std::string, std::vector<double>>& want,
                                    const std::map<std::string, std::vector<double>>& got) {
  std::pair<double, std::string> worst;
  for (const auto& [key, g] : want) {
    const std::vector<double>& h = got.at(key);
    int64_t there = 0, gone = 0;
    for (size_t i = 0; i < g.size(); ++i) there += g[i] != 0, gone += g[i] != 0 && h[i] == 0;
    if (there > 100) worst = std::max(worst, {double(gone) / double(there), key});
  }
  return worst;
}

// The losses of a training with Adam at 3e-4 of the head and the top of the base.
std::vector<double> train(Model& model, DType compute, std::optional<LossScaling> scaling, int steps) {
  Workers workers(model.memory()->shared_backend(), 2);
  Stepper stepper(model, workers, {.runner = {.group = 2, .compute = compute}, .rule = {}, .class_weights = {1, 1}, .scaling = scaling});
  std::vector<double> losses;
  for (int i = 0; i < steps; ++i) {
    stepper.prepare({.images = kAll, .labels = kLabels}, source());
    losses.push_back(stepper.step(3e-4).loss);
  }
  return losses;
}

}  // namespace

// MobileNetV2, 32×32, batch 4, the top 30 % and the head trained from formula weights. After 80 steps the net is sure of its four images
// and the gradients are small.
TEST_CASE("float16 with loss scaling trains as float32, without scaling it loses gradients") {
  const std::shared_ptr<Memory> cpu = open_device({DeviceKind::cpu}), reference = open_device({DeviceKind::reference});
  Model wide = model_on(cpu, DType::float32, kTop), half = model_on(reference, DType::float16, kTop);
  const std::vector<double> want = train(wide, DType::float32, {}, 80), got = train(half, DType::float16, LossScaling{}, 80);
  const std::string text = difference(got, want, 2e-2, 0);
  CHECK_MESSAGE(text.empty(), text);
  CHECK(want.back() < 0.1);

  for (Param& p : half.params.list()) p.value.upload(wide.params.at(p.key()).value.to_doubles());
  half.params.refresh_copies();
  const auto exact = gradients(wide, DType::float32, 1);
  const auto without = lost(exact, gradients(half, DType::float16, 1)), with = lost(exact, gradients(half, DType::float16, 32768));
  MESSAGE("gradient elements that become zero: ", without.first, " of ", without.second, " without scaling, ", with.first, " of ",
          with.second, " with it");
  CHECK(without.first >= 0.05);
  CHECK(with.first <= 0.01);
}

TEST_CASE("the loss scale of a training moves as Keras' does") {
  NEEDS_GOLDENS("semantics/loss_scale.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "semantics" / "loss_scale.json");
  int skipped = 0;
  for (const nlohmann::json& c : golden["cases"]) {
    const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
    Model model = model_on(memory, DType::float32, 140);
    Workers workers(memory->shared_backend(), 1);
    Stepper stepper(model, workers,
                    {.runner = {.group = 2},
                     .rule = {},
                     .class_weights = {1, 1},
                     .scaling = LossScaling{.initial = c["initial_scale"], .growth_steps = c["dynamic_growth_steps"]}});
    for (const nlohmann::json& step : c["steps"]) {
      if (step["scale_after"] == "inf") break;  // where Keras' scale is lost
      const int number = step["step"];
      CAPTURE(number);
      const bool injected = step["injected"] != "";
      stepper.prepare({.images = kAll, .labels = kLabels}, source());
      Tensor bias = model.params.at("head_out/bias").value;
      const std::vector<float> good = bias.to_floats();
      if (injected) bias.upload(std::vector<float>{good[0], std::numeric_limits<float>::infinity()});  // the gradients become NaN
      const std::vector<double> before = all_weights(model);
      const StepResult result = stepper.step(1e-4);
      CHECK(result.skipped == injected);
      CHECK((all_weights(model) == before) == step["weights_unchanged"].get<bool>());
      CHECK(float(result.loss_scale) == step["scale_after"].get<float>());
      CHECK(stepper.iterations() == step["iterations_after"].get<int>());
      CHECK(result.not_finite.empty());
      if (injected) bias.upload(good);
      skipped += injected;
    }
  }
  CHECK(skipped > 3);
}

TEST_CASE("the loss scale changes no result where nothing overflows") {
  std::vector<double> after[2];
  for (const bool scaled : {false, true}) {
    const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
    Model model = model_on(memory, DType::float32, 140);
    Workers workers(memory->shared_backend(), 1);
    StepperOptions options{.runner = {.group = 2}, .rule = {}, .class_weights = {1, 1}};
    if (scaled) options.scaling = LossScaling{};  // a power of two: only exponents change
    Stepper stepper(model, workers, options);
    for (int i = 0; i < 3; ++i) {
      stepper.prepare({.images = kAll, .labels = kLabels}, source());
      stepper.step(1e-3);
    }
    after[scaled] = all_weights(model);
  }
  CHECK(after[0] == after[1]);
}

TEST_CASE("after twenty skipped steps the first tensor that is not finite is named") {
  const auto last = [](DeviceKind device, DType compute, double scale, float bias) {
    const std::shared_ptr<Memory> memory = open_device({device});
    Model model = model_on(memory, compute, 147);
    model.params.at("head_out/bias").value.upload(std::vector<float>{0, bias});
    Workers workers(memory->shared_backend(), 1);
    Stepper stepper(
        model, workers,
        {.runner = {.group = 1, .compute = compute}, .rule = {}, .class_weights = {1, 1}, .scaling = LossScaling{.initial = scale}});
    const std::vector<double> before = all_weights(model);
    StepResult result;
    for (int i = 0; i < 20; ++i) {
      CHECK(result.not_finite.empty());
      stepper.prepare({.images = {0}, .labels = {0}}, source());
      result = stepper.step(1e-3);
      CHECK(result.skipped);
    }
    CHECK(all_weights(model) == before);
    CHECK(stepper.iterations() == 0);
    return result.not_finite;
  };
  CHECK(last(DeviceKind::cpu, DType::float32, 32768, std::numeric_limits<float>::infinity()) == "the output of head_out");
  CHECK(last(DeviceKind::reference, DType::float16, 0x1p60, 0) ==
        "the gradient of Conv_1_bn/beta");  // the loss is finite, the float16 gradient below it is not
}
