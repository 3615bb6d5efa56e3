// Loss, optimizers and loss scale against the reference. Optimizers and the scale must give the same bits.
#include "tests/kernels/cuda_sim.hpp"

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
    {.kind = OptimizerKind::rmsprop, .learning_rate = 0.01, .momentum = 0.5, .rho = 0.8, .centered = true},
};

// One tensor, twice.
struct Slot {
  Slot(Duel& d, uint32_t key, int64_t n, DType gradient, bool copy)
      : w(d.state(numbers(key, n), DType::float32)),
        dw(d.state(numbers(key + 1, n), gradient)),
        copy(copy ? &d.output(n) : nullptr) {
    for (auto& s : state) s = &d.state(std::vector<double>(size_t(n)), DType::float32);
  }
  OptimizerSlot here() const { return {w.here, dw.here, {state[0]->here, state[1]->here, state[2]->here}, copy ? copy->here : Buffer{}}; }
  OptimizerSlot there() const {
    return {w.there, dw.there, {state[0]->there, state[1]->there, state[2]->there}, copy ? copy->there : Buffer{}};
  }
  const Both &w, &dw, *copy;
  const Both* state[3];
};

struct Slots {
  std::vector<OptimizerSlot> here, there;
  explicit Slots(const std::vector<Slot>& slots) {
    for (const Slot& s : slots) here.push_back(s.here()), there.push_back(s.there());
  }
};

}  // namespace

TEST_CASE("cuda: softmax and cross entropy equal the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const SoftmaxShape& s : {SoftmaxShape{1, 1}, {1, 2}, {3, 2}, {7, 5}, {9, 17}, {2, 1000}, {300, 2}, {17, 33}}) {
      CAPTURE(s.rows);
      CAPTURE(s.classes);
      Duel d(type, shift);
      const int64_t n = s.rows * s.classes;
      std::vector<double> truth = numbers(4, s.rows, 0, double(s.classes));
      for (double& label : truth) label = std::floor(label);
      const Both &z = d.input(numbers(1, n, -8, 8)), &labels = d.input(truth, DType::int32),
                 &weights = d.input(numbers(2, s.classes, 0.5, 2), DType::float32), &alone = d.output(n, DType::float32);
      d.ref.softmax(*d.ref_exec, s, z.here, alone.here);
      cuda::softmax(s, z.there, alone.there, d.stream);
      d.same("p", alone, 64, 1);
      const Both &p = d.output(n, DType::float32), &losses = d.output(s.rows, DType::float32);
      d.same_into("loss", 1, DType::float32, 64 + s.rows, 32, [&](IntoBoth loss) {
        d.ref.softmax_cross_entropy_forward(*d.ref_exec, s, z.here, labels.here, weights.here, p.here, losses.here, loss.here);
        cuda::softmax_cross_entropy_forward(s, z.there, labels.there, weights.there, p.there, losses.there, loss.there, d.stream);
        d.same("p", p, 64, 1);
        d.same("losses", losses, 64, 32);
      });
      const Both &given = d.input(d.read(p), DType::float32), &dloss = d.input({-3}, DType::float32);
      d.same_into("dlogits", n, type, 4, 6, [&](IntoBoth dz) {
        d.ref.softmax_cross_entropy_backward(*d.ref_exec, s, given.here, labels.here, weights.here, dloss.here, dz.here);
        cuda::softmax_cross_entropy_backward(s, given.there, labels.there, weights.there, dloss.there, dz.there, d.stream);
      });
    }
  });
}

TEST_CASE("cuda: cross entropy neither clips nor overflows, and shows a label that is no class") {
  in_each_schedule([](DType type, bool shift) {
    Duel d(type, shift);
    const SoftmaxShape s{5, 2};
    const Both &z = d.input({30, -30, 30000, -30000, -30000, 30000, -1000, -1000, 1, 2}), &labels = d.input({1, 1, 1, 0, 2}, DType::int32);
    const Both &weights = d.input({1, 1}, DType::float32), &p = d.output(10, DType::float32), &losses = d.output(5, DType::float32),
               &loss = d.output(1, DType::float32), &one = d.input({1}, DType::float32), &dz = d.output(10);
    cuda::softmax_cross_entropy_forward(s, z.there, labels.there, weights.there, p.there, losses.there, {loss.there}, d.stream);
    std::vector<double> got = d.read(losses);
    CHECK(std::isnan(got[4]));
    CHECK(std::isnan(d.read(loss)[0]));
    got.pop_back();
    CHECK(difference(got, std::vector<double>{60, z.values[2] - z.values[3], 0, std::log(2.)}, 0, 1e-6) == "");
    cuda::softmax_cross_entropy_backward(s, p.there, labels.there, weights.there, one.there, {dz.there}, d.stream);
    CHECK(std::isnan(d.read(dz)[8]));
    CHECK(close(d.read(dz)[0], 0.2, 1e-3, 0));
  });
}

TEST_CASE("cuda: sum_squares and all_finite") {
  in_each_schedule([](DType type, bool shift) {
    for (const int64_t n : {1, 3, 64, 4099, 30011}) {
      CAPTURE(n);
      Duel d(type, shift);
      const Both& x = d.input(numbers(1, n));
      d.same_into("sum", 1, DType::float32, n, 1e-3 * double(n), [&](IntoBoth sum) {
        d.ref.sum_squares(*d.ref_exec, 1e-3, x.here, sum.here);
        cuda::sum_squares(1e-3, x.there, sum.there, d.exec, d.stream);
      });
      const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
      for (const double injected : {0.5, inf, -inf, nan})
        for (const int64_t place : {int64_t{0}, n / 2, n - 1}) {
          std::vector<double> values = x.values;
          values[size_t(place)] = injected;
          const Both& finite = d.output(1, DType::int32);
          cuda::all_finite(d.input(values).there, finite.there, d.stream);
          CHECK(d.read(finite)[0] == std::isfinite(injected));
        }
    }
    Duel d(type, shift);
    const Both& finite = d.output(1, DType::int32);
    cuda::all_finite(Buffer{nullptr, type, 0}, finite.there, d.stream);
    CHECK(d.read(finite)[0] == 1);
  });
}

// Not within a tolerance: the same bits, over six steps, with tensors of more than one block.
TEST_CASE("cuda: optimizer steps give the bits of the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const OptimizerRule& rule : kRules) {
      CAPTURE(int(rule.kind));
      CAPTURE(rule.momentum);
      CAPTURE(rule.centered);
      Duel d(type, shift);
      std::vector<Slot> slots;
      slots.reserve(5);
      slots.emplace_back(d, 1, 1, DType::float32, false);
      slots.emplace_back(d, 3, 17, type, true);
      slots.emplace_back(d, 5, 0, type, true);  // an empty tensor has no block
      slots.emplace_back(d, 7, 8199, type, true);
      slots.emplace_back(d, 9, 3, DType::float32, false);
      const Slots list(slots);
      const Both& iterations = d.state({0}, DType::int32);
      for (int step = 0; step < 6; ++step) {
        d.ref.optimizer_step(*d.ref_exec, rule, list.here, {.iterations = iterations.here, .finite = {}});
        cuda::optimizer_step(rule, list.there, {.iterations = iterations.there, .finite = {}}, d.exec, d.stream);
      }
      CHECK(d.read(iterations)[0] == 6);
      for (const Slot& s : slots) {
        d.same("w", s.w, Tolerance{});
        for (const Both* state : s.state) d.same("state", *state, Tolerance{});
        if (s.copy) d.same("copy", *s.copy, Tolerance{});
      }
    }
  });
}

TEST_CASE("cuda: more tensors than one launch takes") {
  Duel d(DType::float32, false);
  std::vector<Slot> slots;
  slots.reserve(1000);
  for (uint32_t i = 0; i < 1000; ++i) slots.emplace_back(d, i, 1 + i % 7, DType::float32, false);
  const Slots list(slots);
  const Both& iterations = d.state({0}, DType::int32);
  d.ref.optimizer_step(*d.ref_exec, kRules[3], list.here, {.iterations = iterations.here, .finite = {}});
  cuda::optimizer_step(kRules[3], list.there, {.iterations = iterations.there, .finite = {}}, d.exec, d.stream);
  for (const Slot& s : slots) d.same("w", s.w, Tolerance{});
  CHECK(d.read(iterations)[0] == 1);
}

TEST_CASE("cuda: a step that is not finite changes nothing") {
  in_each_schedule([](DType type, bool shift) {
    for (const OptimizerRule& rule : kRules) {
      Duel d(type, shift);
      const Both &w = d.input(numbers(1, 33), DType::float32), &dw = d.input(numbers(2, 33)), &copy = d.input(numbers(3, 33)),
                 &a = d.input(numbers(4, 33), DType::float32), &b = d.input(numbers(5, 33), DType::float32),
                 &c = d.input(numbers(6, 33), DType::float32), &iterations = d.input({41}, DType::int32),
                 &finite = d.input({0}, DType::int32);  // inputs: checked at the end
      const OptimizerSlot slot{w.there, dw.there, {a.there, b.there, c.there}, copy.there};
      cuda::optimizer_step(rule, {&slot, 1}, {.iterations = iterations.there, .finite = finite.there}, d.exec, d.stream);
    }
  });
}

TEST_CASE("cuda: unscale and the loss scale equal the reference") {
  in_each_schedule([](DType type, bool shift) {
    const double inf = std::numeric_limits<double>::infinity(), nan = std::numeric_limits<double>::quiet_NaN();
    for (const double injected : {0.5, inf, -inf, nan})
      for (const size_t place : {size_t(0), size_t(20), size_t(8198)}) {
        CAPTURE(injected);
        CAPTURE(place);
        Duel d(type, shift);
        std::vector<double> gradient = numbers(1, 8199);
        gradient[place] = injected;
        const Both &w = d.input(numbers(3, 8199), DType::float32), &a = d.state(gradient, type), &v = d.input({1, 2, 3}, DType::float32),
                   &b = d.state({256, -512, 1024}, DType::float32), &scale = d.input({1000}, DType::float32),
                   &finite = d.output(1, DType::int32);
        const OptimizerSlot here[] = {{w.here, a.here, {}, {}}, {v.here, b.here, {}, {}}},
                            there[] = {{w.there, a.there, {}, {}}, {v.there, b.there, {}, {}}};
        d.ref.unscale(*d.ref_exec, here, scale.here, finite.here);
        cuda::unscale(there, scale.there, finite.there, d.stream);
        d.same("finite", finite, Tolerance{});
        CHECK(d.read(finite)[0] == std::isfinite(injected));
        if (!std::isnan(injected)) d.same("dw", a, Tolerance{});
        d.same("the other", b, Tolerance{});
      }
    Duel d(type, shift);  // a quotient that overflows the type
    const Both &w = d.input({1}, DType::float32), &dw = d.state({type == DType::float16 ? 60000 : 3e38}, type),
               &half = d.input({0.5}, DType::float32), &overflow = d.output(1, DType::int32);
    const OptimizerSlot slot{w.there, dw.there, {}, {}};
    cuda::unscale({&slot, 1}, half.there, overflow.there, d.stream);
    CHECK(d.read(overflow)[0] == 0);

    struct Row {
      double scale, counter, finite;
    };
    for (const Row& r : {Row{8, 0, 1},
                         {8, 1, 1},
                         {8, 2, 1},
                         {8, 0, 0},
                         {8, 2, 0},
                         {0.5, 2, 1},
                         {0x1p126, 2, 1},
                         {0x1p127, 2, 1},
                         {0x1p-126, 1, 0},
                         {0x1p-125, 1, 0}}) {
      const Both &scale = d.state({r.scale}, DType::float32), &counter = d.state({r.counter}, DType::int32),
                 &finite = d.input({r.finite}, DType::int32);
      d.ref.update_loss_scale(*d.ref_exec, {.scale = scale.here, .counter = counter.here, .growth_steps = 3}, finite.here);
      cuda::update_loss_scale({.scale = scale.there, .counter = counter.there, .growth_steps = 3}, finite.there, d.stream);
      d.same("scale", scale, Tolerance{});
      d.same("counter", counter, Tolerance{});
    }
  });
}
