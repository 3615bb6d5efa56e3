#include "train/early_stopping.hpp"

#include "kernels/error.hpp"

namespace ptrain {

EarlyStopping::EarlyStopping(EarlyStoppingOptions options, EarlyStoppingState state) : options_(options), state_(state) {
  if (options.patience < 0) fail(ErrorKind::usage, "early stopping: a patience of ", options.patience, " epochs; it is 0 or more");
  if (!(options.min_delta >= 0)) fail(ErrorKind::usage, "early stopping: min_delta is ", options.min_delta, "; it is 0 or more");
}

EarlyStopping::Decision EarlyStopping::on_epoch_end(int64_t epoch, double value) {
  EarlyStoppingState& s = state_;
  if (epoch < options_.start_from_epoch) return {false, false};
  ++s.wait;
  if (!improves(options_.direction, value, s.best, options_.min_delta)) {
    if (s.wait >= options_.patience) s.stopped_epoch = epoch, s.stop = true;
    return {false, s.stop};
  }
  s.best = value;
  s.best_epoch = epoch;
  if (options_.restore_best_weights) s.kept = epoch;
  if (improves(options_.direction, value, options_.baseline, options_.min_delta)) s.wait = 0;
  return {options_.restore_best_weights, s.stop};
}

}  // namespace ptrain
