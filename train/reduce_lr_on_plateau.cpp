#include "train/reduce_lr_on_plateau.hpp"

#include <algorithm>

#include "kernels/error.hpp"

namespace ptrain {

ReduceLROnPlateau::ReduceLROnPlateau(ReduceLROnPlateauOptions options, ReduceLROnPlateauState state) : options_(options), state_(state) {
  if (!(options.factor > 0 && options.factor < 1))
    fail(ErrorKind::usage, "plateau schedule: a factor of ", options.factor, " does not reduce anything; it lies between 0 and 1");
  if (options.patience < 0 || options.cooldown < 0)
    fail(ErrorKind::usage, "plateau schedule: patience ", options.patience, " and cooldown ", options.cooldown, "; both are 0 or more");
  if (!(options.min_delta >= 0) || !(options.min_lr >= 0))
    fail(ErrorKind::usage, "plateau schedule: min_delta ", options.min_delta, " and min_lr ", options.min_lr, "; both are 0 or more");
}

float ReduceLROnPlateau::on_epoch_end(double value, float learning_rate) {
  ReduceLROnPlateauState& s = state_;
  if (s.cooldown_counter > 0) {
    --s.cooldown_counter;
    s.wait = 0;
  }
  if (improves(options_.direction, value, s.best, options_.min_delta)) {
    s.best = value;
    s.wait = 0;
    return learning_rate;
  }
  if (s.cooldown_counter > 0 || ++s.wait < options_.patience) return learning_rate;
  if (!(learning_rate > float(options_.min_lr))) return learning_rate;  // at its least: the wait goes on counting
  s.cooldown_counter = options_.cooldown;
  s.wait = 0;
  return float(std::max(double(learning_rate) * options_.factor, options_.min_lr));
}

}  // namespace ptrain
