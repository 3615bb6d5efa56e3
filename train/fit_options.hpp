// defines: what a training in stages is told
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/augment.hpp"
#include "kernels/optimizer.hpp"
#include "train/early_stopping.hpp"
#include "train/loss_scaling.hpp"
#include "train/operating_point.hpp"
#include "train/schedule.hpp"

namespace ptrain {

// What unfrozen batch norms of the base do while the model trains (Keras' `training=` of the base).
enum class BnMode : uint8_t {
  inference,  // running statistics; gamma and beta are trained: what base(x, training=False) is documented to do
  frozen,     // running statistics; nothing of a batch norm is trained
  train,      // statistics of the batch, which move the running ones: what Keras 3 does inside fit()
};
BnMode parse_bn_mode(const std::string& text);  // Error{usage} lists the names

// How the learning rate of a stage changes; Keras' schedules over the steps of the stage.
struct ScheduleOptions {
  std::string kind = "constant";  // constant, cosine, exponential, plateau
  int64_t warmup_epochs = 0;      // of cosine: in a straight line up to the rate
  double decay_rate = 0.9;        // of exponential: per epoch
  double plateau_factor = 0.5;    // of plateau: after plateau_patience epochs without a better monitored value
  int64_t plateau_patience = 2;
};

struct StageOptions {
  std::string name;  // "frozen", "fine-tune"
  int64_t epochs = 10;
  size_t cut = 0;  // base layers below this one in Keras' order are frozen
  double learning_rate = 1e-3;
  AugmentOptions augment;
};

struct FitOptions {
  std::vector<StageOptions> stages;
  int64_t batch = 32;
  uint64_t seed = 0;
  std::string class_weights = "auto";
  std::string monitor = "val_loss";  // or val_auc
  int64_t patience = 3;
  double min_delta = 0;
  BnMode bn = BnMode::inference;
  OptimizerRule optimizer;
  ScheduleOptions schedule;
  OperatingPoint operating_point;  // where the finished model decides, on validation
  DType compute = DType::float32;
  int64_t feature_budget = 128 << 20;  // bytes for features that are the same in every epoch

  Direction direction() const { return monitor == "val_auc" ? Direction::max : Direction::min; }
};

// Throws Error{usage} that names the option which cannot be.
void check(const FitOptions&);

// float16 needs a loss scale, nothing else has one.
std::optional<LossScaling> scaling_of(const FitOptions&);

// The rates of a stage's steps. `plateau` and `constant` are constant here: the plateau rule acts between epochs.
Schedule schedule_of(const ScheduleOptions&, double learning_rate, int64_t epochs, int64_t steps_per_epoch);

}  // namespace ptrain
