// Features that are the same in every epoch are computed once, and what is trained does not change by a bit. And: once its shapes have
// been seen a training asks the system for no more memory.
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <numeric>

#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

namespace {
std::atomic<int> taken{0};  // blocks of at least a page that this program took from the system
}  // namespace

// Takes the place of the C library's, which the cpu device and oneDNN use for their memory.
extern "C" int posix_memalign(void** data, size_t align, size_t bytes) noexcept {
  if (bytes >= 4096) ++taken;
  *data = aligned_alloc(align, (bytes + align - 1) / align * align);
  return *data ? 0 : ENOMEM;
}

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 64, kImages = 10, kEpochs = 3;

struct Trained {
  std::vector<double> weights;
  std::vector<std::vector<double>> logits;      // of two validations
  std::vector<int> shown, shown_in_validation;  // how often the source was asked for each image
  std::vector<int> taken;                       // in each step
};

// Epochs over ten images in other orders, in batches of 4, 4 and 2.
Trained train(size_t cut, bool keep, int threads) {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .classes = {"a", "b"}}, memory);
  formula_weights(model.params, "MobileNetV2");
  freeze(model, {.name = "", .cut = std::min(cut, model.base_layers().size())}, BnMode::inference);
  const std::vector<float> images = formula_input(kImages, kSide, kSide);
  std::vector<std::atomic<int>> shown(kImages);
  const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
    if (!c.backend.is_host() || c.memory->device().kind == DeviceKind::meta) return;
    const int64_t size = kSide * kSide * 3;
    for (size_t i = 0; i < which.size(); ++i) {
      ++shown[size_t(which[i])];
      c.backend.upload(c.exec, images.data() + which[i] * size, x.slice(int64_t(i) * size, size));
    }
  };
  Workers workers(memory->shared_backend(), threads);
  Stepper stepper(model, workers, {.runner = {.shard = 1, .group = 2}, .rule = {}, .class_weights = {1, 1}, .seed = 7});
  std::vector<int64_t> all(kImages);
  std::iota(all.begin(), all.end(), 0);
  std::optional<FeatureStore> store;
  if (keep) store.emplace(stepper.runner(), all);
  Trained t;
  for (uint32_t epoch = 0; epoch < kEpochs; ++epoch)
    for (int64_t first = 0; first < kImages; first += 4) {
      const int before = taken;
      StepInput input{.images = {}, .labels = {}, .epoch = epoch};
      for (int64_t i = first; i < std::min(first + 4, kImages); ++i)
        input.images.push_back((7 * i + 3 * int64_t(epoch)) % kImages), input.labels.push_back(int32_t(i % 2));
      stepper.prepare(std::move(input), source, store ? &*store : nullptr);
      stepper.step(1e-3);
      t.taken.push_back(taken - before);
    }
  t.shown.assign(shown.begin(), shown.end());
  Predictor predictor(model, stepper.runner(), workers);
  const int64_t needed = kImages * stepper.runner().border_bytes_per_image();
  int64_t budget = needed - 1;
  CHECK(!FeatureStore::within(budget, stepper.runner(), all));
  CHECK(budget == needed - 1);
  budget = needed + 5;
  std::optional<FeatureStore> kept = keep ? FeatureStore::within(budget, stepper.runner(), all) : std::nullopt;
  CHECK(budget == (keep ? 5 : needed + 5));
  for (int pass = 0; pass < 2; ++pass) t.logits.push_back(predictor.logits(all, source, kept ? &*kept : nullptr));
  for (size_t i = 0; i < t.shown.size(); ++i) t.shown_in_validation.push_back(shown[i] - t.shown[i]);
  for (const Param& p : model.params.list()) {
    const std::vector<double> v = p.value.to_doubles();
    t.weights.insert(t.weights.end(), v.begin(), v.end());
  }
  return t;
}

}  // namespace

TEST_CASE("stored features show each image once and train the same bytes") {
  for (const size_t cut : {size_t(107), size_t(1000)})
    for (const int threads : {1, 3}) {
      CAPTURE(cut);
      const Trained with = train(cut, true, threads), without = train(cut, false, threads);
      CHECK(with.weights == without.weights);
      CHECK(with.shown == std::vector<int>(kImages, 1));
      CHECK(without.shown == std::vector<int>(kImages, int(kEpochs)));
      CHECK(with.shown_in_validation == std::vector<int>(kImages, 1));
      CHECK(without.shown_in_validation == std::vector<int>(kImages, 2));
      CHECK(with.logits[0] == without.logits[0]);
      CHECK(with.logits[1] == with.logits[0]);
    }
}

TEST_CASE("after the first epoch a training takes no memory from the system") {
  for (const size_t cut : {size_t(107), size_t(1000)})
    for (const bool keep : {false, true}) {
      CAPTURE(cut);
      const std::vector<int> steps = train(cut, keep, 1).taken;
      REQUIRE(steps.size() == 9);
      CHECK(steps[0] > 0);  // or nothing would be counted
      for (size_t i = 3; i < steps.size(); ++i) CHECK(steps[i] == 0);
    }
}
