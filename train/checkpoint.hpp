// defines: Position, how far a training has come, and the file that it can go on from
#pragma once

#include <filesystem>
#include <optional>

#include "train/early_stopping.hpp"
#include "train/model.hpp"
#include "train/reduce_lr_on_plateau.hpp"
#include "train/stepper.hpp"

namespace ptrain {

// The numbers of an epoch that is under way.
struct EpochTotals {
  double loss = 0;  // Σ batch loss · images
  int64_t images = 0, correct = 0;
  int64_t skipped = 0;          // steps that the loss scale skipped
  std::vector<float> scores;    // of the positive class, image by image
  std::vector<int32_t> labels;  // of these
};

// Between two steps. With the weights and the optimizer's state it determines everything that follows.
struct Position {
  int64_t stage = 0;
  int64_t stage_epoch = 0;  // epochs of this stage that are finished
  int64_t epoch = 0;        // of all stages: what random numbers and the history count
  int64_t step = 0;         // of the epoch under way
  EpochTotals totals;
  EarlyStoppingState stopping;
  ReduceLROnPlateauState plateau;
  double plateau_rate = 0;           // 0: not reduced yet
  std::optional<double> best_value;  // of the monitored value, in all stages: that of best.h5
  int64_t best_epoch = -1;
};

// The model file with the position and the optimizer's state below /state. `config` is the resolved configuration.
void save_checkpoint(const std::filesystem::path& path, const Model& model, const Attributes& extra, const Position& position,
                     Stepper& stepper);

// In two parts, since the stepper of the stage can be made only when the stage is known.
Position read_position(const WeightFileReader& file);
void read_optimizer(const WeightFileReader& file, Stepper& stepper);
// What autotune had measured: a training that goes on computes by the same algorithms.
void read_tuned(const WeightFileReader& file, Backend& backend);

}  // namespace ptrain
