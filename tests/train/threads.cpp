// What a training computes does not depend on how many threads compute it.
#include "layers/formula.hpp"
#include "layers/initialize.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 64, kImages = 14;

// The weights after three steps of 6, 6 and 2 images.
std::vector<double> trained(size_t cut, int threads, BnMode bn = BnMode::inference) {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .classes = {"a", "b"}}, memory);
  formula_weights(model.params, "MobileNetV2");
  freeze(model, {.name = "", .cut = std::min(cut, model.base_layers().size())}, bn);
  const std::vector<float> images = formula_input(kImages, kSide, kSide);
  const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
    const int64_t size = kSide * kSide * 3;
    for (size_t i = 0; i < which.size(); ++i)
      if (c.backend.is_host()) c.backend.upload(c.exec, images.data() + which[i] * size, x.slice(int64_t(i) * size, size));
  };
  Workers workers(memory->shared_backend(), threads);
  Stepper stepper(model, workers, {.runner = {.shard = 1, .group = 2}, .rule = {}, .class_weights = {1.5f, 0.75f}, .seed = 7});
  const auto prepare = [&](int64_t first, int64_t count) {
    StepInput input{.images = {}, .labels = {}, .epoch = 3};
    for (int64_t i = first; i < first + count; ++i) input.images.push_back(i), input.labels.push_back(int32_t(i % 3 == 0));
    stepper.prepare(std::move(input), source);
  };
  prepare(0, 6);
  prepare(6, 6);  // under way while the first one trains
  stepper.step(1e-3);
  prepare(12, 2);
  stepper.step(1e-3);
  stepper.step(1e-3);
  std::vector<double> all;
  for (const Param& p : model.params.list()) {
    const std::vector<double> v = p.value.to_doubles();
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

}  // namespace

TEST_CASE("a frozen base gives the same bytes for 1 2 3 and 8 threads") {
  const std::vector<double> one = trained(1000, 1);
  for (const int threads : {2, 3, 8}) CHECK(trained(1000, threads) == one);
}

TEST_CASE("fine-tuning gives the same bytes for 1 2 3 and 8 threads") {
  const std::vector<double> one = trained(107, 1), frozen = trained(1000, 1);
  CHECK(one != frozen);
  for (const int threads : {2, 3, 8}) CHECK(trained(107, threads) == one);
}

TEST_CASE("freezing the batch norms as well leaves them as they were") {
  const std::vector<double> with = trained(107, 2, BnMode::inference), without = trained(107, 2, BnMode::frozen);
  CHECK(with != without);
}

TEST_CASE("workers rethrow the error of the lowest task and go on") {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Workers workers(memory->shared_backend(), 3);
  std::atomic<int> ran{0};
  try {
    workers.run(20, [&](int64_t i, Worker&) {
      ++ran;
      if (i == 7 || i == 13) fail(ErrorKind::data, "task ", i);
    });
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(std::string(e.what()) == "task 7");
  }
  CHECK(ran == 20);
  workers.run(1, [&](int64_t, Worker& w) { CHECK(w.exec->threads() == 1); });
}

TEST_CASE("urgent jobs go before those that prepare") {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Workers workers(memory->shared_backend(), 1);
  std::vector<int> order;
  std::atomic<bool> go{false};
  const auto block = workers.start(Workers::Urgency::later, 1, [&](int64_t, Worker&) { while (!go) std::this_thread::yield(); });
  const auto later = workers.start(Workers::Urgency::later, 2, [&](int64_t, Worker&) { order.push_back(2); });
  const auto now = workers.start(Workers::Urgency::now, 2, [&](int64_t, Worker&) { order.push_back(1); });
  go = true;
  workers.wait(block), workers.wait(later), workers.wait(now);
  CHECK(order == std::vector<int>{1, 1, 2, 2});
}
