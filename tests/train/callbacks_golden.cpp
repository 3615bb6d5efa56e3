// Early stopping, plateau and schedules against traces of the real Keras classes.
#include <cstring>

#include "tests/support/support.hpp"
#include "train/early_stopping.hpp"
#include "train/reduce_lr_on_plateau.hpp"
#include "train/schedule.hpp"

namespace ptrain {
namespace {

using Json = nlohmann::json;

double number(const Json& j) { return j.is_string() && j == "nan" ? NAN : j.get<double>(); }
Direction direction(const Json& kwargs) { return kwargs.at("mode") == "min" ? Direction::min : Direction::max; }

// Steps between two positive float32 numbers.
int64_t ulps(float a, float b) {
  int32_t x, y;
  std::memcpy(&x, &a, 4), std::memcpy(&y, &b, 4);
  return std::isnan(a) || std::isnan(b) || a < 0 || b < 0 ? INT64_MAX : std::abs(int64_t(x) - int64_t(y));
}

Schedule schedule(const std::string& name, const Json& k) {
  if (name == "CosineDecay") {
    CosineDecay s{k.at("initial_learning_rate"), k.at("decay_steps"), k.value("alpha", 0.0), {}, k.value("warmup_steps", int64_t(0))};
    if (k.contains("warmup_target")) s.warmup_target = k["warmup_target"].get<double>();
    return s;
  }
  if (name == "ExponentialDecay")
    return ExponentialDecay{k.at("initial_learning_rate"), k.at("decay_steps"), k.at("decay_rate"), k.value("staircase", false)};
  if (name == "PiecewiseConstantDecay") return PiecewiseConstantDecay{k.at("boundaries"), k.at("values")};
  REQUIRE(name == "PolynomialDecay");
  return PolynomialDecay{k.at("initial_learning_rate"), k.at("decay_steps"), k.value("end_learning_rate", 1e-4), k.value("power", 1.0)};
}

}  // namespace

TEST_CASE("early stopping follows Keras epoch by epoch") {
  NEEDS_GOLDENS("semantics/early_stopping.json");
  const Json golden = test::read_json(test::shared() / "keras/semantics/early_stopping.json");
  REQUIRE(golden.at("cases").size() >= 18);
  for (const Json& c : golden["cases"]) {
    CAPTURE(c.dump());
    const Json& k = c["kwargs"];
    EarlyStoppingOptions options{.direction = direction(k),
                                 .patience = k.at("patience"),
                                 .min_delta = k.value("min_delta", 0.0),
                                 .start_from_epoch = k.value("start_from_epoch", int64_t(0)),
                                 .restore_best_weights = k.at("restore_best_weights")};
    if (k.contains("baseline")) options.baseline = k["baseline"].get<double>();
    EarlyStoppingState state;
    int64_t epoch = 0, weights = 0, kept = -1;
    std::vector<int64_t> waits;
    bool stop = false;
    for (; epoch < int64_t(c["values"].size()) && !stop; ++epoch) {
      EarlyStopping rule(options, state);  // made anew from its state each time: nothing else is needed to go on
      const auto decision = rule.on_epoch_end(epoch, number(c["values"][size_t(epoch)]));
      weights = epoch;
      if (decision.keep_weights) kept = epoch;
      stop = decision.stop;
      state = rule.state();
      waits.push_back(state.wait);
      CHECK(rule.restore_epoch().value_or(-1) == kept);
    }
    if (const auto back = EarlyStopping(options, state).restore_epoch()) weights = *back;
    CHECK(epoch == c["epochs_run"]);
    CHECK(stop == c["stopped"]);
    CHECK(state.stopped_epoch == c["stopped_epoch"]);
    CHECK(state.best_epoch == c["best_epoch"]);
    CHECK(waits == c["wait_after_epoch"].get<std::vector<int64_t>>());
    CHECK(double(weights) == c["final_weights_are_of_epoch"].get<double>());
    if (c["best"].is_null()) CHECK(!state.best);
    else if (c["best"].is_string()) CHECK(std::isnan(state.best.value()));
    else CHECK(state.best.value() == c["best"].get<double>());
  }
}

TEST_CASE("the plateau rule follows Keras epoch by epoch") {
  NEEDS_GOLDENS("semantics/reduce_lr_on_plateau.json");
  const Json golden = test::read_json(test::shared() / "keras/semantics/reduce_lr_on_plateau.json");
  REQUIRE(golden.at("cases").size() >= 6);
  for (const Json& c : golden["cases"]) {
    CAPTURE(c["kwargs"].dump());
    const Json& k = c["kwargs"];
    const ReduceLROnPlateauOptions options{
        direction(k),          k.at("factor"), k.at("patience"), k.value("min_delta", 1e-4), k.value("cooldown", int64_t(0)),
        k.value("min_lr", 0.0)};
    ReduceLROnPlateauState state;
    float lr = c["lr"].get<float>();
    for (const Json& step : c["steps"]) {
      CAPTURE(step["epoch"].get<int>());
      ReduceLROnPlateau rule(options, state);
      lr = rule.on_epoch_end(number(step["val"]), lr);
      state = rule.state();
      CHECK(ulps(lr, step["lr_after"].get<float>()) <= 2);
      CHECK(state.wait == step["wait"]);
      CHECK(state.cooldown_counter == step["cooldown"]);
    }
  }
}

TEST_CASE("learning rate schedules equal Keras within 2 ulp") {
  NEEDS_GOLDENS("semantics/schedules.json");
  const Json golden = test::read_json(test::shared() / "keras/semantics/schedules.json");
  REQUIRE(golden.at("cases").size() >= 8);
  for (const Json& c : golden["cases"]) {
    CAPTURE(c["class"].get<std::string>());
    CAPTURE(c["kwargs"].dump());
    const Schedule s = schedule(c["class"], c["kwargs"]);
    check(s);
    for (const Json& value : c["values"]) {
      CAPTURE(value.dump());
      CHECK(ulps(learning_rate(s, value[0]), value[1].get<float>()) <= 2);
    }
  }
}

}  // namespace ptrain
