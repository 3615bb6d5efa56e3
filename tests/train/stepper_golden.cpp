// The stepper (shards, groups, planned memory, several workers) against Keras' training goldens.
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// Trains MobileNetV2 as the golden script does, with the stepper, and compares every loss and the weights after the last step.
void stepper_equals_keras(const std::string& mode, int threads, int64_t group) {
  const auto folder = shared() / "keras" / "train";
  const nlohmann::json facts = read_json(folder / "train_MobileNetV2.json");
  const std::vector<int32_t> labels = facts["labels"];
  const int64_t n = int64_t(labels.size()), side = facts["input"][1];
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Model model(
      {.net = "mobilenet_v2", .height = side, .width = side, .head = {.dropout = {0, 0}, .l2 = 1e-3}, .classes = {"NORMAL", "PNEUMONIA"}},
      memory);
  formula_weights(model.params, "MobileNetV2");
  const size_t layers = model.base_layers().size();
  freeze(model,
         {.name = mode,
          .cut = mode == "frozen" ? layers
                 : mode == "full" ? 0
                                  : cut_for_top_fraction(model, 0.3)},
         BnMode::inference);

  const std::vector<float> images = formula_input(n, side, side);
  const int64_t size = side * side * 3;
  const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
    for (size_t i = 0; i < which.size(); ++i)
      if (c.backend.is_host()) c.backend.upload(c.exec, images.data() + which[i] * size, x.slice(int64_t(i) * size, size));
  };
  OptimizerRule rule;
  if (mode == "full") rule = {.kind = OptimizerKind::sgd, .momentum = 0.9};
  const double rate = mode == "frozen" ? 1e-3 : 1e-5;
  const bool batch = mode == "full" || mode == "fine_fit";
  Workers workers(memory->shared_backend(), threads);
  Stepper stepper(model, workers,
                  {.runner = {.shard = 2, .group = batch ? n : group, .batch_statistics = batch},
                   .rule = rule,
                   .class_weights = {facts["class_weight"]["0"], facts["class_weight"]["1"]}});
  std::vector<int64_t> all;
  for (int64_t i = 0; i < n; ++i) all.push_back(i);
  const std::vector<double> losses = facts[mode]["losses_f32"];
  const double later = mode == "frozen" ? 2e-4
                       : mode == "full" ? 0.2
                                        : 1e-2,
               first = mode == "full" ? 5e-4 : 4e-5;  // ten times the goldens' own
  for (size_t i = 0; i < losses.size(); ++i) {
    stepper.prepare({.images = all, .labels = labels}, source);
    const double loss = stepper.step(rate).loss;
    INFO(mode, " step ", i + 1, ": loss ", loss, ", want ", losses[i]);
    CHECK(close(loss, losses[i], 0, i == 0 ? first : later));
  }
  CHECK(stepper.iterations() == int64_t(losses.size()));
  size_t compared = 0;
  for (Row& row : read_tsv(folder / "train_MobileNetV2.tsv")) {
    if (row["mode"] != mode || row["kind"] == "gradient_step1") continue;
    const std::vector<double> got = model.params.at(row["tensor"]).value.to_doubles();
    double squares = 0;
    for (const double v : got) squares += v * v;
    INFO(mode, " ", row["tensor"], ": norm ", std::sqrt(squares), ", want ", row["norm_f32"]);
    CHECK(close(std::sqrt(squares), std::stod(row["norm_f32"]), 1e-6, 1e-4));
    ++compared;
  }
  CHECK(compared >= 6);
}

}  // namespace

TEST_CASE("stepper on a frozen base trains as Keras") {
  NEEDS_GOLDENS("train");
  stepper_equals_keras("frozen", 2, 4);
}
TEST_CASE("stepper fine-tunes as Keras in groups of one and two") {
  NEEDS_GOLDENS("train");
  stepper_equals_keras("fine", 2, 2);
  stepper_equals_keras("fine", 3, 1);
  stepper_equals_keras("fine", 1, 3);  // a last group that is not full
}
TEST_CASE("stepper fine-tunes with batch statistics as Keras") {
  NEEDS_GOLDENS("train");
  stepper_equals_keras("fine_fit", 2, 4);
}
TEST_CASE("stepper trains the whole net as Keras") {
  NEEDS_GOLDENS("train");
  stepper_equals_keras("full", 2, 4);
}
