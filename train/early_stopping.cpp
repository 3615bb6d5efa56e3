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
  bool keep = false;
  const auto keep_this = [&] { s.best_epoch = epoch, s.kept = epoch, keep = true; };
  if (options_.restore_best_weights && !s.kept) keep_this();  // better than nothing, whatever its value

  ++s.wait;
  if (improves(options_.direction, value, s.best, options_.min_delta)) {
    s.best = value;
    s.best_epoch = epoch;
    if (options_.restore_best_weights) keep_this();
    if (improves(options_.direction, value, options_.baseline, options_.min_delta)) s.wait = 0;
  } else if (s.wait >= options_.patience && epoch > 0) {
    s.stopped_epoch = epoch;
    s.stop = true;
  }
  return {keep, s.stop};
}

}  // namespace ptrain
