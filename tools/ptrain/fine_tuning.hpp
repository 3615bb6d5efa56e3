// defines: FineTuning, the top of a trained net unfrozen at a low rate, kept only when validation says that it is not worse
#pragma once

#include "tools/ptrain/net_run.hpp"
#include "train/metrics/delong.hpp"
#include "train/safety_rail.hpp"

namespace ptrain::cli {

struct FineTuning {
  std::string from, unfrozen_from;  // model file; Keras' name of the first layer that is trained
  int64_t layers = 0;               // of the base that are unfrozen
  NetRun run;
  metrics::Predictions before;  // of the model that it began with, on validation
  metrics::Evaluation before_evaluation;
  metrics::DelongPaired difference;  // after − before; two classes only
  SafetyRail rail;
  std::string why;  // its sentence, and DeLong's test

  bool kept() const { return rail.kept(); }
};

// The model to begin with: a file, or the best.h5 of a run.
std::filesystem::path model_of(const std::string& model_or_run);

// The split with all images that may be trained on: those that a fraction left out, unless their patient is in validation.
Split with_all_images(const Manifest&, const Split&);

// Trains `folder`/best.h5 from the model file `from`, which stays as it is. A fresh optimizer; options.fine_tune_*. The safety rail
// (train/safety_rail.hpp) says whether the result takes the place of the model that was there.
FineTuning fine_tune(Bench& bench, const std::filesystem::path& from, const Split& split, const std::filesystem::path& folder, bool resume);

std::string describe(const FineTuning&);
nlohmann::ordered_json to_json(const FineTuning&, const TrainOptions&);

}  // namespace ptrain::cli
