// defines: EarlyStopping, when to stop and which weights to keep: Keras' rule
#pragma once

#include <cstdint>
#include <optional>

#include "train/improvement.hpp"

namespace ptrain {

struct EarlyStoppingOptions {
  Direction direction = Direction::min;
  int64_t patience = 0;              // epochs without improvement after which training stops
  double min_delta = 0;              // an improvement is larger than this
  std::optional<double> baseline;    // improvements that do not reach it keep the weights, not the training going
  int64_t start_from_epoch = 0;      // earlier epochs are not looked at
  bool restore_best_weights = true;  // Keras' default is false; here the best weights are always the result
};

// All that must be stored to go on after an interruption.
struct EarlyStoppingState {
  std::optional<double> best;   // NaN when the first value was NaN: nothing improves on that
  std::optional<int64_t> kept;  // the epoch whose weights are kept
  int64_t best_epoch = 0;
  int64_t wait = 0;           // epochs since the last improvement that counts
  int64_t stopped_epoch = 0;  // 0: not stopped
  bool stop = false;
  bool operator==(const EarlyStoppingState&) const = default;
};

// keras.callbacks.EarlyStopping (Keras 3.15). Epochs count from 0. The first value looked at is an improvement, whatever it is.
class EarlyStopping {
 public:
  explicit EarlyStopping(EarlyStoppingOptions options, EarlyStoppingState state = {});

  struct Decision {
    bool keep_weights;  // store the weights as they are now: they are the ones to restore
    bool stop;          // no further epoch
  };
  Decision on_epoch_end(int64_t epoch, double value);

  // The epoch whose kept weights must be put back when training ends, whichever way it ends (patience, last epoch, Ctrl-C); none when
  // weights are not to be restored or none were kept.
  std::optional<int64_t> restore_epoch() const { return state_.kept; }
  const EarlyStoppingState& state() const { return state_; }

 private:
  EarlyStoppingOptions options_;
  EarlyStoppingState state_;
};

}  // namespace ptrain
