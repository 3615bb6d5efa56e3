// The update rules of kernels/optimizer.hpp, one operation a rounding: this file is compiled without fused multiply-add.
#include <cmath>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

// The numbers of one step, in the type R of the weights (float, or double in checks).
template <class R>
struct Step {
  Step(const OptimizerRule& rule, int32_t t)
      : lr(R(rule.learning_rate)),
        momentum(R(float(rule.momentum))),
        decay(R(rule.weight_decay)),
        epsilon(R(rule.epsilon)),
        rho(R(rule.rho)),
        one_minus_rho(R(1 - rule.rho)),
        one_minus_beta_1(R(1 - rule.beta_1)),
        one_minus_beta_2(R(1 - rule.beta_2)) {
    const R power_1 = R(std::pow(double(float(rule.beta_1)), t)), power_2 = R(std::pow(double(float(rule.beta_2)), t));
    alpha = lr * std::sqrt(1 - power_2) / (1 - power_1);
  }
  R lr, momentum, decay, epsilon, rho, one_minus_rho, one_minus_beta_1, one_minus_beta_2, alpha;
};

template <class R>
R sgd(const OptimizerRule& rule, const Step<R>& s, R w, R g, R* v) {
  if (rule.momentum == 0) return w - g * s.lr;
  *v = *v * s.momentum - g * s.lr;
  return rule.nesterov ? w + (*v * s.momentum - g * s.lr) : w + *v;
}

template <class R>
R adam(const Step<R>& s, R w, R g, R* m, R* v) {
  *m += (g - *m) * s.one_minus_beta_1;
  *v += (g * g - *v) * s.one_minus_beta_2;
  return w - *m * s.alpha / (std::sqrt(*v) + s.epsilon);
}

template <class R>
R rmsprop(const OptimizerRule& rule, const Step<R>& s, R w, R g, R* v, R* average, R* m) {
  *v = s.rho * *v + s.one_minus_rho * (g * g);
  R below = *v + s.epsilon;
  if (rule.centered) {
    *average = s.rho * *average + s.one_minus_rho * g;
    below = *v - *average * *average + s.epsilon;
  }
  const R increment = s.lr * g / std::sqrt(below);
  if (rule.momentum == 0) return w - increment;
  *m = s.momentum * *m + increment;
  return w - *m;
}

template <class R, class G>
void update(Exec& e, const OptimizerRule& rule, int32_t t, const OptimizerSlot& slot) {
  const Step<R> step(rule, t);
  R* w = slot.w.as<R>();
  R* state[3] = {slot.state[0].as<R>(), slot.state[1].as<R>(), slot.state[2].as<R>()};
  const int average = 1, moving = rule.centered ? 2 : 1;  // places of rmsprop's state tensors
  for_each(e, slot.w.size, [&](int64_t i) {
    const R g = R(slot.dw.as<const G>()[i]);
    R value = w[i];
    if (rule.weight_decay != 0) value = value - value * step.decay * step.lr;
    switch (rule.kind) {
      case OptimizerKind::sgd: value = sgd(rule, step, value, g, state[0] + i); break;
      case OptimizerKind::adam:
      case OptimizerKind::adamw: value = adam(step, value, g, state[0] + i, state[1] + i); break;
      case OptimizerKind::rmsprop: value = rmsprop(rule, step, value, g, state[0] + i, state[average] + i, state[moving] + i); break;
    }
    w[i] = value;
  });
}

}  // namespace

void ReferenceBackend::do_optimizer_step(Exec& e, const OptimizerRule& given, std::span<const OptimizerSlot> slots,
                                         const StepState& state) {
  if (state.finite && *state.finite.as<const int32_t>() == 0) return;
  OptimizerRule rule = given;
  if (state.learning_rate) rule.learning_rate = double(*state.learning_rate.as<const float>());
  const int32_t t = ++*state.iterations.as<int32_t>();
  for (const OptimizerSlot& slot : slots) {
    visit_floating(slot.dw.dtype, [&]<class G>(G) {
      if (slot.w.dtype == DType::float64) update<double, G>(e, rule, t, slot);
      else update<float, G>(e, rule, t, slot);
    });
    if (slot.copy) do_cast(e, slot.w, slot.copy);
  }
}

}  // namespace ptrain::reference
