#include "train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "kernels/error.hpp"

namespace ptrain {
namespace {

float rate(const ConstantSchedule& s, int64_t) { return float(s.learning_rate); }

// The float32 roundings are Keras': near the end 1 + cos cancels, and a cosine in double would differ by 10 ulp.
float half_cosine(float step, float steps, float from, double alpha) {
  const float cosine = 0.5f * (1.0f + std::cos(std::numbers::pi_v<float> * (step / steps)));
  return from * (float(1 - alpha) * cosine + float(alpha));
}

float rate(const CosineDecay& s, int64_t at) {
  const float initial = float(s.initial_learning_rate), steps = float(s.decay_steps), step = float(at);
  if (!s.warmup_target) return half_cosine(std::min(step, steps), steps, initial, s.alpha);
  const float target = float(*s.warmup_target), warmup = float(s.warmup_steps);
  if (step < warmup) return (target - initial) * (step / warmup) + initial;
  return half_cosine(std::min(step, steps + warmup) - warmup, steps, target, s.alpha);
}

float rate(const ExponentialDecay& s, int64_t step) {
  const float p = float(step) / float(s.decay_steps);
  return float(s.initial_learning_rate) * std::pow(float(s.decay_rate), s.staircase ? std::floor(p) : p);
}

float rate(const PiecewiseConstantDecay& s, int64_t step) {
  const auto boundary = std::ranges::lower_bound(s.boundaries, step);
  return float(s.values[size_t(boundary - s.boundaries.begin())]);
}

float rate(const PolynomialDecay& s, int64_t at) {
  const float initial = float(s.initial_learning_rate), end = float(s.end_learning_rate), step = float(at);
  float steps = float(s.decay_steps);
  if (s.cycle && at > 0) steps *= std::ceil(step / steps);
  const float left = 1 - std::min(step, steps) / steps;
  return (initial - end) * std::pow(left, float(s.power)) + end;
}

void check_rate(const char* what, double rate) {
  if (!(rate >= 0 && std::isfinite(rate))) fail(ErrorKind::usage, "learning rate schedule: ", what, " is ", rate, "; it is 0 or more, and finite");
}

void check_steps(int64_t steps) {
  if (steps <= 0) fail(ErrorKind::usage, "learning rate schedule: decay_steps is ", steps, "; it is 1 or more");
}

void check_one(const ConstantSchedule& s) { check_rate("learning_rate", s.learning_rate); }

void check_one(const CosineDecay& s) {
  check_rate("initial_learning_rate", s.initial_learning_rate);
  check_rate("alpha", s.alpha);
  check_rate("warmup_target", s.warmup_target.value_or(0));
  check_steps(s.decay_steps);
  if (s.warmup_steps < 0) fail(ErrorKind::usage, "learning rate schedule: warmup_steps is ", s.warmup_steps, "; it is 0 or more");
}

void check_one(const ExponentialDecay& s) {
  check_rate("initial_learning_rate", s.initial_learning_rate);
  check_rate("decay_rate", s.decay_rate);
  check_steps(s.decay_steps);
}

void check_one(const PiecewiseConstantDecay& s) {
  if (s.values.size() != s.boundaries.size() + 1)
    fail(ErrorKind::usage, "learning rate schedule: ", s.boundaries.size(), " boundaries need ", s.boundaries.size() + 1, " values, not ", s.values.size());
  if (!std::ranges::is_sorted(s.boundaries)) fail(ErrorKind::usage, "learning rate schedule: the boundaries do not ascend");
  for (double value : s.values) check_rate("a value", value);
}

void check_one(const PolynomialDecay& s) {
  check_rate("initial_learning_rate", s.initial_learning_rate);
  check_rate("end_learning_rate", s.end_learning_rate);
  check_rate("power", s.power);
  check_steps(s.decay_steps);
}

}  // namespace

void check(const Schedule& schedule) {
  std::visit([](const auto& s) { check_one(s); }, schedule);
}

float learning_rate(const Schedule& schedule, int64_t step) {
  REQUIRE_THAT(step >= 0, "learning rate of step ", step);
  return std::visit([step](const auto& s) { return rate(s, step); }, schedule);
}

}  // namespace ptrain
