// The update rules of kernels/optimizer.hpp over many tensors in one call, and the dynamic loss scale. Bound by memory: each value is
// read and written once. One operation a rounding: this file is compiled without fused multiply-add.
#include <algorithm>
#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {
namespace {

// The numbers of one step.
struct Step {
  Step(const OptimizerRule& rule, int32_t t)
      : lr(float(rule.learning_rate)),
        momentum(float(rule.momentum)),
        decay(float(rule.weight_decay)),
        epsilon(float(rule.epsilon)),
        rho(float(rule.rho)),
        one_minus_rho(float(1 - rule.rho)),
        one_minus_beta_1(float(1 - rule.beta_1)),
        one_minus_beta_2(float(1 - rule.beta_2)) {
    const auto power_1 = float(std::pow(double(float(rule.beta_1)), t)), power_2 = float(std::pow(double(float(rule.beta_2)), t));
    alpha = lr * std::sqrt(1 - power_2) / (1 - power_1);
  }
  float lr, momentum, decay, epsilon, rho, one_minus_rho, one_minus_beta_1, one_minus_beta_2, alpha;
};

// The state tensors of one weight tensor, in the order of OptimizerRule::states(); null where the rule has none.
struct State {
  float *first, *second, *third;
};

// One rule each: the new weight i from w and g, and its state.
struct Sgd {
  static float update(const Step& s, float w, float g, const State&, int64_t) { return w - g * s.lr; }
};
template <bool kNesterov>
struct Momentum {
  static float update(const Step& s, float w, float g, const State& state, int64_t i) {
    const float v = state.first[i] = state.first[i] * s.momentum - g * s.lr;
    return kNesterov ? w + (v * s.momentum - g * s.lr) : w + v;
  }
};
struct Adam {
  static float update(const Step& s, float w, float g, const State& state, int64_t i) {
    const float m = state.first[i] += (g - state.first[i]) * s.one_minus_beta_1;
    const float v = state.second[i] += (g * g - state.second[i]) * s.one_minus_beta_2;
    return w - m * s.alpha / (std::sqrt(v) + s.epsilon);
  }
};
template <bool kCentered, bool kMomentum>
struct RmsProp {
  static float update(const Step& s, float w, float g, const State& state, int64_t i) {
    const float v = state.first[i] = s.rho * state.first[i] + s.one_minus_rho * (g * g);
    float below = v + s.epsilon;
    if constexpr (kCentered) {
      const float average = state.second[i] = s.rho * state.second[i] + s.one_minus_rho * g;
      below = v - average * average + s.epsilon;
    }
    const float increment = s.lr * g / std::sqrt(below);
    if constexpr (!kMomentum) return w - increment;
    float* moving = kCentered ? state.third : state.second;
    return w - (moving[i] = s.momentum * moving[i] + increment);
  }
};

template <class F>
void with_rule(const OptimizerRule& r, F&& f) {
  switch (r.kind) {
    case OptimizerKind::sgd:
      if (r.momentum == 0) return f(Sgd{});
      return with_flag(r.nesterov, [&]<class Nesterov>(Nesterov) { f(Momentum<Nesterov::value>{}); });
    case OptimizerKind::adam:
    case OptimizerKind::adamw: return f(Adam{});
    case OptimizerKind::rmsprop:
      return with_flag(r.centered, [&]<class C>(C) { with_flag(r.momentum != 0, [&]<class M>(M) { f(RmsProp<C::value, M::value>{}); }); });
  }
  fail(ErrorKind::failed, "no such optimizer: ", int(r.kind));
}

// Splits the elements of all tensors, laid end to end, over the threads: body(part, slot, begin, end) for the pieces of each.
template <class Body>
void over_slots(const Exec& e, std::span<const OptimizerSlot> slots, Body&& body) {
  int64_t total = 0;
  for (const OptimizerSlot& s : slots) total += s.w.size;
  parallel(e, total, 1, [&](Part part) {
    int64_t first = 0;
    for (const OptimizerSlot& s : slots) {
      const int64_t begin = std::max(part.begin - first, int64_t(0)), end = std::min(part.end - first, s.w.size);
      if (begin < end) body(part.index, s, begin, end);
      first += s.w.size;
    }
  });
}

template <class Rule, class G>
void update(const Step& step, const OptimizerSlot& slot, int64_t begin, int64_t end) {
  float* w = slot.w.as<float>();
  const G* dw = slot.dw.as<const G>();
  const State state{slot.state[0].as<float>(), slot.state[1].as<float>(), slot.state[2].as<float>()};
  with_flag(step.decay != 0, [&]<class Decay>(Decay) {
#pragma omp simd
    for (int64_t i = begin; i < end; ++i) {
      const float decayed = Decay::value ? w[i] - w[i] * step.decay * step.lr : w[i];
      w[i] = Rule::update(step, decayed, float(dw[i]), state, i);
    }
  });
}

bool finite_range(Buffer x, int64_t begin, int64_t end) {
  return with_type(x.dtype, [&]<class T>(T) {
    const T* p = x.as<const T>();
    int bad = 0;
#pragma omp simd reduction(+ : bad)
    for (int64_t i = begin; i < end; ++i) bad += float(p[i]) - float(p[i]) != 0;  // ∞ − ∞ and NaN − NaN are NaN
    return bad == 0;
  });
}

}  // namespace

void CpuBackend::do_optimizer_step(Exec& e, const OptimizerRule& given, std::span<const OptimizerSlot> slots, const StepState& state) {
  if (state.finite && *state.finite.as<const int32_t>() == 0) return;
  OptimizerRule rule = given;
  if (state.learning_rate) rule.learning_rate = double(*state.learning_rate.as<const float>());
  const Step step(rule, ++*state.iterations.as<int32_t>());
  with_rule(rule, [&]<class Rule>(Rule) {
    over_slots(e, slots, [&](int, const OptimizerSlot& slot, int64_t begin, int64_t end) {
      with_type(slot.dw.dtype, [&]<class G>(G) { update<Rule, G>(step, slot, begin, end); });
      if (!slot.copy) return;
      with_type(slot.copy.dtype, [&, w = slot.w.as<const float>()]<class T>(T) {
        T* copy = slot.copy.as<T>();
#pragma omp simd
        for (int64_t i = begin; i < end; ++i) copy[i] = T(w[i]);
      });
    });
  });
}

void CpuBackend::do_unscale(Exec& e, std::span<const OptimizerSlot> slots, Buffer scale, Buffer finite) {
  const float divisor = *scale.as<const float>();
  int* bad = static_cast<int*>(e.scratch(int64_t(sizeof(int)) * e.threads()));
  std::fill_n(bad, e.threads(), 0);
  over_slots(e, slots, [&](int part, const OptimizerSlot& slot, int64_t begin, int64_t end) {
    with_type(slot.dw.dtype, [&]<class G>(G) {
      G* dw = slot.dw.as<G>();
#pragma omp simd
      for (int64_t i = begin; i < end; ++i) dw[i] = G(float(dw[i]) / divisor);
    });
    bad[part] |= !finite_range(slot.dw, begin, end);
  });
  *finite.as<int32_t>() = std::count(bad, bad + e.threads(), 0) == e.threads();
}

// The rule of kernels/optimizer.hpp.
void CpuBackend::do_update_loss_scale(Exec&, const LossScaleState& s, Buffer finite) {
  constexpr float kLeast = 0x1p-126f, kMost = 0x1p127f;
  float& scale = *s.scale.as<float>();
  int32_t& counter = *s.counter.as<int32_t>();
  const bool was_finite = *finite.as<const int32_t>() != 0;
  if (was_finite && ++counter < s.growth_steps) return;
  counter = 0;
  scale = std::clamp(was_finite ? scale * 2 : scale / 2, kLeast, kMost);
}

void CpuBackend::do_all_finite(Exec& e, Buffer x, Buffer finite) {
  int* bad = static_cast<int*>(e.scratch(int64_t(sizeof(int)) * e.threads()));
  std::fill_n(bad, e.threads(), 0);
  parallel(e, x.size, 1, [&](Part part) { bad[part.index] = !finite_range(x, part.begin, part.end); });
  *finite.as<int32_t>() = std::count(bad, bad + e.threads(), 0) == e.threads();
}

}  // namespace ptrain::cpu
