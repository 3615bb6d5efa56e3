// defines: ReduceLROnPlateau, a smaller learning rate when a value stops improving: Keras' rule
#pragma once

#include <cstdint>
#include <optional>

#include "train/improvement.hpp"

namespace ptrain {

struct ReduceLROnPlateauOptions {
  Direction direction = Direction::min;
  double factor = 0.1;  // below 1
  int64_t patience = 10;
  double min_delta = 1e-4;
  int64_t cooldown = 0;  // epochs after a reduction in which nothing is counted
  double min_lr = 0;
};

// All that must be stored to go on after an interruption, beside the learning rate itself.
struct ReduceLROnPlateauState {
  std::optional<double> best;
  int64_t wait = 0;
  int64_t cooldown_counter = 0;
  bool operator==(const ReduceLROnPlateauState&) const = default;
};

// keras.callbacks.ReduceLROnPlateau (Keras 3.15).
class ReduceLROnPlateau {
 public:
  explicit ReduceLROnPlateau(ReduceLROnPlateauOptions options, ReduceLROnPlateauState state = {});

  // Called after each epoch with the monitored value and the learning rate of that epoch; returns the rate of the next one. The product
  // with the factor is formed in double and rounded to float32.
  float on_epoch_end(double value, float learning_rate);
  const ReduceLROnPlateauState& state() const { return state_; }

 private:
  ReduceLROnPlateauOptions options_;
  ReduceLROnPlateauState state_;
};

}  // namespace ptrain
