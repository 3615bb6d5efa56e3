// defines: Direction and improves(), what Keras' callbacks count as better
#pragma once

#include <optional>

namespace ptrain {

enum class Direction : unsigned char { min, max };  // of a monitored value: val_loss, val_auc

// MonitorCallback._is_improvement of Keras 3: strictly better by more than min_delta; anything improves on nothing; a NaN never
// improves, and nothing improves on a NaN. value ∓ min_delta is formed in double and both sides are compared in float32, as Keras does:
// a gain of less than one float32 step is none.
inline bool improves(Direction direction, double value, std::optional<double> reference, double min_delta) {
  if (!reference) return true;
  if (direction == Direction::min) return float(value + min_delta) < float(*reference);
  return float(value - min_delta) > float(*reference);
}

}  // namespace ptrain
