#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/model.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("a model is saved with its own threshold and temperature whatever an older file of it said") {
  const TempDir temp;
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Model model({.net = "mobilenet_v2", .height = 32, .width = 32, .head = {.dense = {4}, .dropout = {0}, .l2 = 0}, .classes = {"a", "b"}},
              memory);
  formula_weights(model.params, "MobileNetV2");
  save_model(model, temp / "a.h5", {{"epoch", int64_t{3}}});
  const Attributes older = WeightFileReader(temp / "a.h5").attributes();
  model.spec.threshold = 0.25;
  model.spec.temperature = 1.5;
  save_model(model, temp / "a.h5", older);
  const WeightFileReader file(temp / "a.h5");
  CHECK(read_spec(file).threshold == 0.25);
  CHECK(read_spec(file).temperature == 1.5);
  CHECK(file.integer("epoch") == 3);
}
