#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/class_weights.hpp"
#include "train/early_stopping.hpp"
#include "train/reduce_lr_on_plateau.hpp"
#include "train/schedule.hpp"

namespace ptrain {
namespace {

// The kind of the error that `f` throws; 0 when it throws none.
template <class F>
int kind_of(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return int(e.kind());
  }
  return 0;
}

constexpr int kUsage = int(ErrorKind::usage), kData = int(ErrorKind::data);

}  // namespace

TEST_CASE("improvements are compared in float32 as in Keras") {  // Keras 3.15: callback._is_improvement(0.1 - 1e-10, 0.1) is False
  CHECK(!improves(Direction::min, 0.1 - 1e-10, 0.1, 0));
  CHECK(improves(Direction::min, 0.1 - 1e-8, 0.1, 0));
  CHECK(!improves(Direction::max, 0.6001, 0.6, 1e-4));
  CHECK(!improves(Direction::max, 0.60010001, 0.6, 1e-4));
  CHECK(improves(Direction::max, 0.6002, 0.6, 1e-4));
}

TEST_CASE("nan is no improvement and nothing improves on nan") {
  for (Direction d : {Direction::min, Direction::max}) {
    CHECK(improves(d, NAN, std::nullopt, 0));
    CHECK(!improves(d, NAN, 0.5, 0));
    CHECK(!improves(d, 0.5, NAN, 0));
  }
}

TEST_CASE("without restoring no weights are kept") {
  EarlyStopping rule({.patience = 1, .restore_best_weights = false});
  CHECK(!rule.on_epoch_end(0, 1.0).keep_weights);
  CHECK(!rule.on_epoch_end(1, 0.5).keep_weights);
  CHECK(!rule.restore_epoch());
  CHECK(rule.state().best_epoch == 1);
}

TEST_CASE("early stopping and plateau refuse options without a meaning") {
  CHECK(kind_of([] { EarlyStopping({.patience = -1}); }) == kUsage);
  CHECK(kind_of([] { EarlyStopping({.min_delta = NAN}); }) == kUsage);
  CHECK(kind_of([] { ReduceLROnPlateau({.factor = 1}); }) == kUsage);
  CHECK(kind_of([] { ReduceLROnPlateau({.factor = NAN}); }) == kUsage);
  CHECK(kind_of([] { ReduceLROnPlateau({.patience = -1}); }) == kUsage);
  CHECK(kind_of([] { ReduceLROnPlateau({.min_lr = -1}); }) == kUsage);
}

TEST_CASE("a cycled polynomial starts again at each multiple") {
  // Keras 3.15: PolynomialDecay(0.1, 8, 0.01, power=2.0, cycle=True)(step)
  const Schedule s = PolynomialDecay{.initial_learning_rate = 0.1, .decay_steps = 8, .end_learning_rate = 0.01, .power = 2, .cycle = true};
  const std::pair<int64_t, float> table[] = {{0, 0.100000001f},    {1, 0.078906253f},  {5, 0.0226562507f},   {8, 0.00999999978f},
                                             {9, 0.0272265635f},   {12, 0.015625f},    {16, 0.00999999978f}, {17, 0.0176562518f},
                                             {40, 0.00999999978f}, {41, 0.0119140614f}};
  for (const auto& [step, want] : table) {
    CAPTURE(step);
    CHECK(test::close(learning_rate(s, step), want, 0, 2.4e-7));
  }
}

TEST_CASE("a warm-up of no steps begins at its target") {
  CHECK(learning_rate(CosineDecay{.initial_learning_rate = 0.1, .decay_steps = 10, .warmup_target = 0.5, .warmup_steps = 0}, 0) == 0.5f);
}

TEST_CASE("a constant schedule is constant") {
  CHECK(learning_rate(ConstantSchedule{1e-3}, 0) == 1e-3f);
  CHECK(learning_rate(ConstantSchedule{1e-3}, 1 << 30) == 1e-3f);
}

TEST_CASE("schedules without a meaning are refused") {
  const Schedule bad[] = {ConstantSchedule{-1},
                          ConstantSchedule{NAN},
                          CosineDecay{.decay_steps = 0},
                          CosineDecay{.warmup_target = INFINITY},
                          CosineDecay{.warmup_target = 0.1, .warmup_steps = -1},
                          ExponentialDecay{.decay_steps = -3},
                          ExponentialDecay{.decay_rate = -0.5},
                          PiecewiseConstantDecay{{3, 6}, {1, 2}},
                          PiecewiseConstantDecay{{6, 3}, {1, 2, 3}},
                          PiecewiseConstantDecay{{}, {}},
                          PolynomialDecay{.decay_steps = 0},
                          PolynomialDecay{.power = -1}};
  for (const Schedule& s : bad) {
    CAPTURE(s.index());
    CHECK(kind_of([&] { check(s); }) == kUsage);
  }
}

TEST_CASE("class weights balance the classes of the real training folder") {
  const std::vector<std::string> classes{"NORMAL", "PNEUMONIA"};
  const std::vector<int64_t> counts{1341, 3875};
  const std::vector<float> weights = class_weights("auto", counts, classes);
  CHECK(weights == std::vector<float>{float(5216 / (2 * 1341.0)), float(5216 / (2 * 3875.0))});
  CHECK(test::close(weights[0], 1.9448, 5e-5, 0));
  CHECK(test::close(weights[1], 0.6730, 5e-5, 0));
  CHECK(class_weights("none", counts, classes) == std::vector<float>{1, 1});
  CHECK(class_weights("2.5,0.5", counts, classes) == std::vector<float>{2.5f, 0.5f});
  CHECK(class_weights(" 1 , 0", counts, classes) == std::vector<float>{1, 0});
}

TEST_CASE("class weights that cannot be are refused") {
  const std::vector<std::string> classes{"NORMAL", "PNEUMONIA"};
  const std::vector<int64_t> counts{10, 20};
  for (const char* text : {"", "automatic", "1", "1,2,3", "1,", ",1", "1,x", "1,-2", "1,nan", "1,inf", "0,0", "1;2", "1,2 3", "0x1,1"}) {
    CAPTURE(text);
    CHECK(kind_of([&] { class_weights(text, counts, classes); }) == kUsage);
  }
  CHECK(kind_of([&] { class_weights("auto", std::vector<int64_t>{10, 0}, classes); }) == kData);
  CHECK(kind_of([&] { class_weights("none", std::vector<int64_t>{10, 0}, classes); }) == 0);
}

}  // namespace ptrain
