// What a training computes does not depend on how many threads compute it.
#include <chrono>
#include <filesystem>
#include <fstream>

#include "kernels/cpu/cpu.hpp"
#include "layers/formula.hpp"
#include "layers/initialize.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kImages = 14;

// A training of MobileNetV2 on formula images.
class Training {
 public:
  Training(size_t cut, int threads, BnMode bn, int64_t side, std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu}))
      : side_(side),
        images_(formula_input(kImages, side, side)),
        memory_(std::move(memory)),
        model_({.net = "mobilenet_v2", .height = side, .width = side, .classes = {"a", "b"}}, memory_),
        workers_(memory_->shared_backend(), threads) {
    formula_weights(model_.params, "MobileNetV2");
    freeze(model_, {.name = "", .cut = std::min(cut, model_.base_layers().size())}, bn);
    stepper_ = std::make_unique<Stepper>(
        model_, workers_,
        StepperOptions{.runner = {.shard = 1, .group = bn == BnMode::train ? kImages : 2, .batch_statistics = bn == BnMode::train},
                       .rule = {},
                       .class_weights = {1.5f, 0.75f},
                       .seed = 7});
  }
  void prepare(int64_t first, int64_t count) {
    StepInput input{.images = {}, .labels = {}, .epoch = 3};
    for (int64_t i = first; i < first + count; ++i) input.images.push_back(i), input.labels.push_back(int32_t(i % 3 == 0));
    stepper_->prepare(std::move(input), [this](std::span<const int64_t> which, Context& c, Buffer x) {
      const int64_t size = side_ * side_ * 3;
      for (size_t i = 0; i < which.size(); ++i)
        if (c.backend.is_host()) c.backend.upload(c.exec, images_.data() + which[i] * size, x.slice(int64_t(i) * size, size));
    });
  }
  void step() { stepper_->step(1e-3); }
  const Params& params() const { return model_.params; }

 private:
  int64_t side_;
  std::vector<float> images_;
  std::shared_ptr<Memory> memory_;
  Model model_;
  Workers workers_;
  std::unique_ptr<Stepper> stepper_;
};

// The weights after three steps of 6, 6 and 2 images.
std::vector<double> trained(size_t cut, int threads, BnMode bn = BnMode::inference) {
  Training training(cut, threads, bn, 64);
  training.prepare(0, 6);
  training.prepare(6, 6);  // under way while the first one trains
  training.step();
  training.prepare(12, 2);
  training.step();
  training.step();
  std::vector<double> all;
  for (const Param& p : training.params().list()) {
    const std::vector<double> v = p.value.to_doubles();
    all.insert(all.end(), v.begin(), v.end());
  }
  return all;
}

// Seconds in which the threads of this process ran, or would have run had no other process had the processor (Linux: schedstat).
double ready_seconds() {
  double sum = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    double ran = 0, waited = 0;
    std::ifstream(task.path() / "schedstat") >> ran >> waited;
    sum += 1e-9 * (ran + waited);
  }
  return sum;
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

TEST_CASE("two threads are both at work in a frozen base and in fine-tuning") {
  if (std::ifstream file("/proc/self/schedstat"); !file) return skip("busy threads", "this system does not count the time of threads");
  for (const size_t cut : {size_t(1000), size_t(107)}) {
    Training training(cut, 2, BnMode::inference, 160);
    training.prepare(0, kImages);
    training.prepare(0, kImages);
    training.step();
    const double began = ready_seconds();
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < 8; ++i) training.prepare(0, kImages), training.step();
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double busy = (ready_seconds() - began) / wall;
    INFO("cut ", cut, ": ", busy, " of 2 threads");
    CHECK(busy >= 1.7);
    training.step();
  }
}

namespace {

// The cpu backend, which tells how often it was asked for memory.
struct CountingBackend final : cpu::CpuBackend {
  void* allocate(int64_t bytes) override {
    ++allocations;
    return CpuBackend::allocate(bytes);
  }
  std::atomic<int> allocations{0};
};

}  // namespace

TEST_CASE("from its third step on a training takes no more memory from the device") {
  struct Stage {
    size_t cut;
    BnMode bn;
  };
  for (const Stage& stage :
       {Stage{1000, BnMode::inference}, Stage{107, BnMode::inference}, Stage{107, BnMode::frozen}, Stage{0, BnMode::train}}) {
    CAPTURE(stage.cut);
    const auto backend = std::make_shared<CountingBackend>();
    Training training(stage.cut, 2, stage.bn, 64, std::make_shared<Pool>(backend, Device{DeviceKind::cpu}));
    training.prepare(0, 6);
    for (int i = 0; i < 2; ++i) training.prepare(0, 6), training.step();
    const int before = backend->allocations;
    CHECK(before > 0);
    for (int i = 0; i < 5; ++i) training.prepare(0, 6), training.step();
    CHECK(backend->allocations == before);
    training.step();
  }
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
  const auto block = workers.start(Workers::Urgency::later, 1, [&](int64_t, Worker&) {
    while (!go) std::this_thread::yield();
  });
  const auto later = workers.start(Workers::Urgency::later, 2, [&](int64_t, Worker&) { order.push_back(2); });
  const auto now = workers.start(Workers::Urgency::now, 2, [&](int64_t, Worker&) { order.push_back(1); });
  go = true;
  workers.wait(block), workers.wait(later), workers.wait(now);
  CHECK(order == std::vector<int>{1, 1, 2, 2});
}
