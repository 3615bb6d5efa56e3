// defines: Schedule, the learning rate of each step: Keras' schedules
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace ptrain {

// keras.optimizers.schedules (Keras 3.15), with their names. Steps are optimizer updates, counted from 0. A skipped step (loss scaling) is
// not counted.
struct ConstantSchedule {
  double learning_rate = 1e-3;
};

// From warmup_target (initial_learning_rate without one) down half a cosine to alpha times that, within decay_steps. Before this, with a
// warmup_target, in a straight line from initial_learning_rate up to it within warmup_steps. Loshchilov and Hutter, ICLR 2017.
struct CosineDecay {
  double initial_learning_rate = 1e-3;
  int64_t decay_steps = 1;
  double alpha = 0;
  std::optional<double> warmup_target;
  int64_t warmup_steps = 0;
};

// initial_learning_rate · decay_rate^(step / decay_steps); `staircase` takes the whole part of the exponent.
struct ExponentialDecay {
  double initial_learning_rate = 1e-3;
  int64_t decay_steps = 1;
  double decay_rate = 0.96;
  bool staircase = false;
};

// values[0] up to and including step boundaries[0], values[1] up to boundaries[1], …: one value more than boundaries, which ascend.
struct PiecewiseConstantDecay {
  std::vector<int64_t> boundaries;
  std::vector<double> values;
};

// (initial − end)·(1 − step/decay_steps)^power + end; with `cycle` decay_steps becomes its first multiple that is not below the step.
struct PolynomialDecay {
  double initial_learning_rate = 1e-3;
  int64_t decay_steps = 1;
  double end_learning_rate = 1e-4;
  double power = 1;
  bool cycle = false;
};

using Schedule = std::variant<ConstantSchedule, CosineDecay, ExponentialDecay, PiecewiseConstantDecay, PolynomialDecay>;

// Throws Error{usage} for a schedule that cannot be: a rate that is negative or not finite, no steps to decay over, unordered boundaries.
void check(const Schedule& schedule);

// The rate of this step, computed in float32 in Keras' order of operations (equal to 2 ulp). The schedule was checked.
float learning_rate(const Schedule& schedule, int64_t step);

}  // namespace ptrain
