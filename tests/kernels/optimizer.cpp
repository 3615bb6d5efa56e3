#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

const OptimizerRule kRules[] = {
    {.kind = OptimizerKind::sgd, .learning_rate = 0.1},
    {.kind = OptimizerKind::sgd, .learning_rate = 0.1, .momentum = 0.9},
    {.kind = OptimizerKind::sgd, .learning_rate = 0.1, .momentum = 0.9, .nesterov = true, .weight_decay = 0.01},
    {.kind = OptimizerKind::adam, .learning_rate = 0.05},
    {.kind = OptimizerKind::adamw, .learning_rate = 0.05, .beta_1 = 0.8, .beta_2 = 0.95, .epsilon = 1e-4, .weight_decay = 0.1},
    {.kind = OptimizerKind::rmsprop, .learning_rate = 0.01},
    {.kind = OptimizerKind::rmsprop, .learning_rate = 0.01, .rho = 0.8, .centered = true},
    {.kind = OptimizerKind::rmsprop, .learning_rate = 0.01, .momentum = 0.5, .rho = 0.8},
    {.kind = OptimizerKind::rmsprop, .learning_rate = 0.01, .momentum = 0.5, .rho = 0.8, .centered = true},
};

// The textbook form of each rule, one weight, in double. Only βᵗ is that of the rounded β, in the precision of
// the weights: 1 − β₂ᵗ loses four digits of it.
struct Textbook {
  OptimizerRule rule;
  bool single;
  double w, m = 0, v = 0, a = 0;
  int t = 0;

  void step(double g) {
    const double lr = rule.learning_rate, momentum = double(float(rule.momentum)), epsilon = rule.epsilon;
    ++t;
    w *= 1 - rule.weight_decay * lr;
    switch (rule.kind) {
      case OptimizerKind::sgd:
        m = momentum * m - lr * g;
        w += rule.nesterov ? momentum * m - lr * g : m;
        break;
      case OptimizerKind::adam:
      case OptimizerKind::adamw: {
        m = rule.beta_1 * m + (1 - rule.beta_1) * g;
        v = rule.beta_2 * v + (1 - rule.beta_2) * g * g;
        // ε is added to √v as it is, before the correction of the bias
        const double corrected = m / (1 - power(rule.beta_1)) * std::sqrt(1 - power(rule.beta_2));
        w -= lr * corrected / (std::sqrt(v) + epsilon);
        break;
      }
      case OptimizerKind::rmsprop:
        v = rule.rho * v + (1 - rule.rho) * g * g;
        a = rule.centered ? rule.rho * a + (1 - rule.rho) * g : 0;
        m = momentum * m + lr * g / std::sqrt(v - a * a + epsilon);
        w -= m;
        break;
    }
  }
  // In the order of OptimizerSlot::state; 0 where the rule keeps none.
  std::vector<double> state() const {
    switch (rule.kind) {
      case OptimizerKind::sgd: return {rule.momentum != 0 ? m : 0, 0, 0};
      case OptimizerKind::adam:
      case OptimizerKind::adamw: return {m, v, 0};
      case OptimizerKind::rmsprop: break;
    }
    std::vector<double> kept{v};
    if (rule.centered) kept.push_back(a);
    if (rule.momentum != 0) kept.push_back(m);
    kept.resize(3);
    return kept;
  }
  double power(double beta) const {
    const double p = std::pow(double(float(beta)), t);
    return single ? double(float(p)) : p;
  }
};

// One tensor on a backend with everything that a step needs.
struct Slot {
  Slot(Trial& t, uint32_t key, int64_t n, DType gradient, bool copy)
      : w(t.state(numbers(key, n), t.wide())),
        dw(t.state(numbers(key + 1, n), gradient)),
        copy(copy ? &t.output(n) : nullptr) {
    for (auto& s : state) s = &t.state(std::vector<double>(size_t(n)), t.wide());
  }
  OptimizerSlot slot() const { return {w, dw, {*state[0], *state[1], *state[2]}, copy ? copy->buffer : Buffer{}}; }
  const Guarded &w, &dw, *copy;
  const Guarded* state[3];
};

}  // namespace

// Tolerance: float32 state over six steps; the centered rule takes the root of a difference, which multiplies its rounding.
TEST_CASE("optimizer steps follow the textbook over many tensors at once") {
  on_each_backend([](const Target& target) {
    for (const OptimizerRule& rule : kRules)
      for (const bool mixed : {false, true}) {
        CAPTURE(int(rule.kind));
        CAPTURE(rule.momentum);
        CAPTURE(rule.centered);
        CAPTURE(mixed);
        Trial t(target);
        // Kernels have gradients in the type of the activations and a working copy, biases have neither.
        std::vector<Slot> slots;
        slots.reserve(4);
        slots.emplace_back(t, 1, 1, t.wide(), false);
        slots.emplace_back(t, 3, 17, mixed ? t.dtype() : t.wide(), mixed);
        slots.emplace_back(t, 5, 4099, mixed ? t.dtype() : t.wide(), mixed);
        slots.emplace_back(t, 7, 3, t.wide(), false);
        std::vector<OptimizerSlot> list;
        for (const Slot& s : slots) list.push_back(s.slot());
        const Guarded& iterations = t.state({0}, DType::int32);
        for (int step = 0; step < 6; ++step) t.backend().optimizer_step(t.exec(), rule, list, {.iterations = iterations, .finite = {}});
        CHECK(t.read(iterations)[0] == 6);
        const Tolerance close = t.wide() == DType::float32 ? Tolerance{1e-6, 1e-6} : Tolerance{1e-14, 1e-14};
        for (const Slot& s : slots) {
          std::vector<double> want, state[3];
          for (size_t i = 0; i < s.w.values.size(); ++i) {
            Textbook book{rule, t.wide() == DType::float32, s.w.values[i]};
            for (int step = 0; step < 6; ++step) book.step(s.dw.values[i]);
            want.push_back(book.w);
            const std::vector<double> kept = book.state();
            for (size_t j = 0; j < 3; ++j) state[j].push_back(kept[j]);
          }
          for (size_t j = 0; j < 3; ++j) t.check("state", *s.state[j], state[j], close);
          t.check("w", s.w, want, close);
          if (s.copy) t.check("copy", *s.copy, rounded(t.read(s.w), t.dtype()), Tolerance{});
        }
      }
  });
}

TEST_CASE("a learning rate on the device takes the place of the rule's") {
  on_each_backend([](const Target& target) {
    for (const OptimizerRule& rule : kRules) {
      CAPTURE(int(rule.kind));
      Trial t(target);
      OptimizerRule told = rule, other = rule;
      told.learning_rate = 0.03125, other.learning_rate = 1e3;
      const std::vector<double> first = numbers(1, 4099), slope = numbers(2, 4099), zeros(4099);
      const auto train = [&](const OptimizerRule& r, const Buffer& rate) {
        const Guarded &w = t.state(first, t.wide()), &dw = t.input(slope, t.wide()), &iterations = t.state({0}, DType::int32);
        const OptimizerSlot slot{w, dw, {t.state(zeros, t.wide()), t.state(zeros, t.wide()), t.state(zeros, t.wide())}, {}};
        for (int step = 0; step < 3; ++step)
          t.backend().optimizer_step(t.exec(), r, {&slot, 1}, {.iterations = iterations, .learning_rate = rate});
        return t.read(w);
      };
      const Guarded& rate = t.input({0.03125}, DType::float32);
      const std::vector<double> want = train(told, {});
      CHECK(train(other, rate) == want);
      CHECK(want != first);
    }
  });
}

TEST_CASE("a step that is not finite changes nothing") {
  on_each_backend([](const Target& target) {
    for (const OptimizerRule& rule : kRules) {
      Trial t(target);
      const Guarded &w = t.input(numbers(1, 33), t.wide()), &dw = t.input(numbers(2, 33)), &copy = t.input(numbers(3, 33));
      const Guarded &s0 = t.input(numbers(4, 33), t.wide()), &s1 = t.input(numbers(5, 33), t.wide()),
                    &s2 = t.input(numbers(6, 33), t.wide());
      const Guarded &iterations = t.input({41}, DType::int32),
                    &finite = t.input({0}, DType::int32);  // inputs: the trial checks that they stay
      const OptimizerSlot slot{w, dw, {s0, s1, s2}, copy};
      t.backend().optimizer_step(t.exec(), rule, {&slot, 1}, {.iterations = iterations, .finite = finite});
    }
    Trial t(target);
    const Guarded &w = t.state({1}, t.wide()), &dw = t.input({2}, t.wide()), &iterations = t.state({41}, DType::int32),
                  &finite = t.input({1}, DType::int32);
    const OptimizerSlot slot{w, dw, {}, {}};
    t.backend().optimizer_step(t.exec(), kRules[0], {&slot, 1}, {.iterations = iterations, .finite = finite});
    CHECK(close(t.read(w)[0], 0.8, 1e-7, 0));
    CHECK(t.read(iterations)[0] == 42);
  });
}

TEST_CASE("unscale divides every gradient and tells whether all are finite") {
  on_each_backend([](const Target& target) {
    const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    for (const double injected : {0.5, inf, -inf, nan})
      for (const size_t place : {size_t(0), size_t(20), size_t(4098)}) {
        CAPTURE(injected);
        CAPTURE(place);
        Trial t(target);
        std::vector<double> gradient = numbers(1, 4099);
        gradient[place] = injected;
        const Guarded &w = t.input(numbers(3, 4099), t.wide()), &a = t.state(gradient, t.dtype()), &v = t.input({1, 2, 3}, t.wide()),
                      &b = t.state({256, -512, 1024}, t.wide());
        const Guarded &scale = t.input({1024}, DType::float32), &finite = t.output(1, DType::int32);
        const OptimizerSlot slots[] = {{w, a, {}, {}}, {v, b, {}, {}}};
        t.backend().unscale(t.exec(), slots, scale, finite);
        CHECK(t.read(finite)[0] == std::isfinite(injected));
        std::vector<double> got = t.read(a), want = a.values;
        for (double& x : want) x /= 1024;
        if (!std::isfinite(injected)) got[place] = want[place] = 0;
        CHECK(difference(got, want, target.dtype == DType::float16 ? 0x1p-25 : 0, rounding_of(target.dtype)) == "");
        t.check("the other", b, {0.25, -0.5, 1}, Tolerance{});
      }
  });
}

TEST_CASE("unscale finds the quotient that overflows") {
  on_each_backend([](const Target& target) {
    if (target.dtype != DType::float32) return;
    Trial t(target);
    const Guarded &w = t.input({1, 1}, t.wide()), &dw = t.state({1, 3e38}, t.wide()), &scale = t.input({0.25}, DType::float32),
                  &finite = t.output(1, DType::int32);
    const OptimizerSlot slot{w, dw, {}, {}};
    t.backend().unscale(t.exec(), {&slot, 1}, scale, finite);
    CHECK(t.read(finite)[0] == 0);
  });
}

TEST_CASE("all_finite") {
  on_each_backend([](const Target& target) {
    const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    for (const int64_t n : {1, 17, 4099})
      for (const double injected : {0.5, inf, -inf, nan})
        for (const int64_t place : {int64_t{0}, n / 2, n - 1}) {
          Trial t(target);
          std::vector<double> values = numbers(1, n);
          values[size_t(place)] = injected;
          const Guarded& finite = t.output(1, DType::int32);
          t.backend().all_finite(t.exec(), t.input(values), finite);
          CHECK(t.read(finite)[0] == std::isfinite(injected));
        }
    Trial t(target);
    const Guarded& finite = t.output(1, DType::int32);
    t.backend().all_finite(t.exec(), Buffer{nullptr, target.dtype, 0}, finite);
    CHECK(t.read(finite)[0] == 1);
  });
}

TEST_CASE("the loss scale doubles after enough finite steps and stays finite and positive") {
  on_each_backend([](const Target& target) {
    if (target.dtype != DType::float32) return;
    struct Row {
      double scale, counter, finite, scale_after, counter_after;
    };
    const Row rows[] = {
        {8, 0, 1, 8, 1},
        {8, 1, 1, 8, 2},
        {8, 2, 1, 16, 0},
        {8, 0, 0, 4, 0},
        {8, 2, 0, 4, 0},
        {0.5, 2, 1, 1, 0},
        {0x1p126, 2, 1, 0x1p127, 0},
        {0x1p127, 2, 1, 0x1p127, 0},
        {0x1p-126, 1, 0, 0x1p-126, 0},
        {0x1p-125, 1, 0, 0x1p-126, 0},
    };
    for (const Row& r : rows) {
      CAPTURE(r.scale);
      CAPTURE(r.counter);
      CAPTURE(r.finite);
      Trial t(target);
      const Guarded &scale = t.state({r.scale}, DType::float32), &counter = t.state({r.counter}, DType::int32),
                    &finite = t.input({r.finite}, DType::int32);
      t.backend().update_loss_scale(t.exec(), {.scale = scale, .counter = counter, .growth_steps = 3}, finite);
      CHECK(t.read(scale)[0] == r.scale_after);
      CHECK(t.read(counter)[0] == r.counter_after);
    }
  });
}
