// defines: Fit, a training in stages: frozen base, then its top
#pragma once

#include "train/checkpoint.hpp"
#include "train/fit_options.hpp"
#include "train/image_source.hpp"
#include "train/metrics/predictions.hpp"
#include "train/predictor.hpp"
#include "train/run_folder.hpp"

namespace ptrain {

struct FitData {
  const ImageCache& cache;
  std::vector<int64_t> train, val;    // indices of the manifest
  std::vector<std::string> patients;  // of each entry of the manifest
};

// Trains the model stage by stage, keeps the best weights (RUN/best.h5), and goes on where it was interrupted (RUN/last.h5). The
// monitored value decides: in each stage Keras' EarlyStopping stops; over all stages the best epoch is the result, so a
// fine-tuning that does not help changes nothing.
class Fit {
 public:
  // `extra` is stored in every file that is written: configuration, data hash, version.
  Fit(Model& model, Workers& workers, const FitData& data, FitOptions options, RunFolder& run, Attributes extra);

  // On return the model holds the best weights, best.h5 the same with Youden's threshold on the validation part. Interrupted: state was
  // saved.
  void run(std::optional<Position> from, const WeightFileReader* state);
  const Position& position() const { return position_; }

 private:
  struct Stage;
  void store_images();
  int64_t batch_that_fits() const;
  void run_stage(const WeightFileReader* state);
  void train_epoch(Stage& stage);
  Logs validate(Stage& stage);
  void end_epoch(Stage& stage, const Logs& logs, double seconds);
  void keep_best(const Logs& logs);
  void check_progress(Stage& stage, const StepResult& result, double rate);
  void save(Stage& stage);
  void stop_if_interrupted(Stage& stage);
  void finish();

  Model& model_;
  Workers& workers_;
  const FitData& data_;
  FitOptions o_;
  RunFolder& run_;
  Attributes extra_;
  std::vector<float> class_weights_;
  std::optional<DeviceImages> images_;  // of devices
  int64_t free_memory_ = 0;             // of the device before the stage at work
  Position position_;
};

// Freezes what the stage does not train.
void freeze(Model& model, const StageOptions& stage, BnMode bn);

// How a stage's base is run: sizes of shards and groups for this net and batch.
RunnerOptions runner_options(const Model& model, const FitOptions& options);

// Bytes of the device that a stage takes beside the model and the workspaces of the libraries: planned passes, what waits between them, the
// optimizer's state, features of so many images where they are kept. The model must be frozen as in that stage.
int64_t memory_of_stage(Model& model, Workers& workers, const FitOptions& options, int64_t images);
// The most that any of the stages takes. Leaves the model frozen as in the last one.
int64_t memory_of_training(Model& model, Workers& workers, const FitOptions& options, int64_t images);

// What the model says about images of the cache: probabilities at the model's temperature.
metrics::Predictions predict(Model& model, Predictor& predictor, const ImageCache& cache, std::span<const int64_t> images,
                             std::span<const std::string> patients, FeatureStore* store = nullptr,
                             const std::function<void(int64_t)>& progress = {}, const DeviceImages* stored = nullptr);

}  // namespace ptrain
