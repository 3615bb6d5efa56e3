// defines: Bench, what several trainings of one command share; NetRun, one training with what came out of it
#pragma once

#include "tools/ptrain/training.hpp"
#include "train/line_file.hpp"
#include "train/metrics/evaluation.hpp"

namespace ptrain::cli {

// Lines for the user: on the screen, and in RUN/log.txt.
class Journal {
 public:
  Journal(const std::filesystem::path& log, bool quiet, bool append);
  void operator()(const std::string& line);

 private:
  Progress progress_;
  LineFile log_;
};

// Device, threads and images of a command. Caches are kept by the size of the net's input.
class Bench {
 public:
  Bench(const TrainOptions& options, std::string config, Manifest manifest, Say say);

  const ImageCache& cache(int64_t side);
  Attributes attributes(const Split& split, int64_t side);  // configuration, version, hash of the data: for model files
  FitData data(const Split& split, int64_t side) { return fit_data(manifest, split, cache(side)); }

  const TrainOptions& options;
  const std::string config;
  Manifest manifest;
  const Say say;
  const int threads;
  const std::shared_ptr<Memory> memory;
  const DType compute;
  Workers workers;

 private:
  std::map<int64_t, std::unique_ptr<ImageCache>> caches_;
};

struct NetRun {
  int64_t epochs = 0, best_epoch = 0;  // from 1
  double seconds = 0, images_per_s = 0;
  int64_t peak_mb = 0, trained_parameters = 0;
  metrics::Predictions train, val;  // of the best weights, calibrated; plain images, no augmentation
  metrics::Evaluation train_evaluation, val_evaluation;
};

// One training in `folder`, and what its best weights say about its images: predictions_train.csv, predictions_val.csv, run.json. With
// `resume`, a training that is finished is read and one that was interrupted goes on. On return the model holds the best weights.
NetRun train_net(Bench& bench, Model& model, const FitOptions& options, const Split& split, const std::filesystem::path& folder,
                 bool resume);

// {n, classes …} as in `ptrain evaluate --json`.
metrics::Evaluation evaluate_at(const metrics::Predictions& predictions, const ModelSpec& spec, uint64_t seed);

}  // namespace ptrain::cli
