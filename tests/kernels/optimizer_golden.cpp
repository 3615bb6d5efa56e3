// Optimizers and the loss scale against traces of Keras' classes.
#include "layers/formula.hpp"
#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<double> values(const std::string& key, int64_t n) {
  std::vector<float> v(static_cast<size_t>(n));
  formula_fill(key, 0, 1, v);
  return {v.begin(), v.end()};
}

// Keras' arguments as a rule, Keras' defaults where there are none. False for what is no part of a rule (clipping, averaging, …).
bool rule_of(const std::string& kind, const nlohmann::json& kwargs, OptimizerRule& rule) {
  const std::map<std::string, OptimizerKind> kinds{{"SGD", OptimizerKind::sgd}, {"Adam", OptimizerKind::adam}, {"AdamW", OptimizerKind::adamw}, {"RMSprop", OptimizerKind::rmsprop}};
  rule = {.kind = kinds.at(kind), .learning_rate = kind == "SGD" ? 0.01f : 1e-3f, .weight_decay = kind == "AdamW" ? 0.004f : 0};
  for (const auto& [name, value] : kwargs.items()) {
    if (name == "learning_rate") rule.learning_rate = value;
    else if (name == "momentum") rule.momentum = value;
    else if (name == "nesterov") rule.nesterov = value;
    else if (name == "beta_1") rule.beta_1 = value;
    else if (name == "beta_2") rule.beta_2 = value;
    else if (name == "epsilon") rule.epsilon = value;
    else if (name == "rho") rule.rho = value;
    else if (name == "centered") rule.centered = value;
    else if (name == "weight_decay") rule.weight_decay = value;
    else return false;
  }
  return true;
}

// The state tensors of a rule under Keras' names, in the order of OptimizerSlot::state.
std::vector<std::string> state_names(const OptimizerRule& rule) {
  if (rule.kind == OptimizerKind::adam || rule.kind == OptimizerKind::adamw) return {"_momentum", "_velocity"};
  std::vector<std::string> names;
  if (rule.kind == OptimizerKind::rmsprop) names.push_back("_velocity");
  if (rule.centered) names.push_back("_average_gradient");
  if (rule.momentum != 0) names.push_back("_momentum");
  return names;
}

// The reference gives Keras' bits (the nine digits of the files identify a float32); others may contract or reorder.
Tolerance tolerance_of(const Target& target) { return target.is_reference ? Tolerance{0, 1e-8} : Tolerance{1e-7, 1e-6}; }

}  // namespace

TEST_CASE("optimizer traces equal Keras'") {
  NEEDS_GOLDENS("semantics/optimizers.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "semantics" / "optimizers.json");
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32) return;
    int cases = 0;
    for (const nlohmann::json& c : golden["cases"]) {
      OptimizerRule rule;
      if (!rule_of(c["class"], c["kwargs"], rule)) continue;
      const auto name = c["name"].get<std::string>();
      CAPTURE(name);
      ++cases;
      const int64_t n = c["n"];
      Trial t(target);
      const Guarded &w = t.state(values("trace/start", n), DType::float32), &iterations = t.state({0}, DType::int32);
      const Guarded* state[3];
      for (auto& s : state) s = &t.state(std::vector<double>(size_t(n)), DType::float32);
      for (size_t step = 0; step < c["values"].size(); ++step) {
        CAPTURE(step);
        const OptimizerSlot slot{w, t.input(values("trace/grad/" + std::to_string(step), n)), {*state[0], *state[1], *state[2]}, {}};
        t.backend().optimizer_step(t.exec(), rule, {&slot, 1}, {.iterations = iterations, .finite = {}});
        t.check("w", w, c["values"][step], tolerance_of(target));
      }
      const std::vector<std::string> names = state_names(rule);
      REQUIRE(int(names.size()) == rule.states());
      CHECK(c["final_state"].size() == names.size());
      for (const auto& [key, want] : c["final_state"].items())
        for (size_t i = 0; i < names.size(); ++i)
          if (key.ends_with(names[i])) t.check(key.c_str(), *state[i], want, tolerance_of(target));
    }
    CHECK(cases == 10);
  });
}

TEST_CASE("the loss scale moves as Keras' does until Keras' overflows") {
  NEEDS_GOLDENS("semantics/loss_scale.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "semantics" / "loss_scale.json");
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32) return;
    for (const nlohmann::json& c : golden["cases"]) {
      OptimizerRule rule;
      REQUIRE(rule_of(c["inner"], c["inner_kwargs"], rule));
      Trial t(target);
      const Guarded &w = t.state(values("trace/start", 3), DType::float32), &iterations = t.state({0}, DType::int32), &finite = t.output(1, DType::int32);
      const Guarded &m = t.state({0, 0, 0}, DType::float32), &v = t.state({0, 0, 0}, DType::float32);
      const Guarded &scale = t.state({c["initial_scale"]}, DType::float32), &counter = t.state({0}, DType::int32);
      for (const nlohmann::json& step : c["steps"]) {
        const int number = step["step"];
        CAPTURE(number);
        const double used = t.read(scale)[0];
        if (step["scale_used"] == "inf") {  // Keras is lost from here on: this scale stays at the largest power of two
          CHECK(used == 0x1p127);
          continue;
        }
        CHECK(used == step["scale_used"].get<float>());
        std::vector<double> gradient = values("trace/grad/" + std::to_string(number), 3);
        for (double& g : gradient) g *= used;
        const std::string injected = step["injected"];
        if (!injected.empty()) gradient[1] = std::stod(injected);
        const OptimizerSlot slot{w, t.state(gradient, DType::float32), {m, v, {}}, {}};
        t.backend().unscale(t.exec(), {&slot, 1}, scale, finite);
        t.backend().optimizer_step(t.exec(), rule, {&slot, 1}, {.iterations = iterations, .finite = finite});
        t.backend().update_loss_scale(t.exec(), {.scale = scale, .counter = counter, .growth_steps = c["dynamic_growth_steps"]}, finite);
        if (step["scale_after"] != "inf") CHECK(t.read(scale)[0] == step["scale_after"].get<float>());
        CHECK(t.read(counter)[0] == step["growth_counter_after"].get<int>());
        CHECK(t.read(iterations)[0] == step["iterations_after"].get<int>());
        t.check("w", w, step["weights_after"], tolerance_of(target));
      }
    }
  });
}
