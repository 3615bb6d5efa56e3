// defines: Run, the folder that a report is made of, read into memory
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/metrics/predictions.hpp"
#include "train/report/html.hpp"

namespace ptrain::report {

// One line of a metrics.jsonl. Numbers that are absent are NaN.
struct Epoch {
  std::string stage;
  double loss = 0, val_loss = 0, accuracy = 0, val_accuracy = 0, auc = 0, val_auc = 0, learning_rate = 0, seconds = 0;
  bool chosen = false;  // its weights are those that the stage handed on
};

// A predictions_*.csv.
struct PredictionTable {
  metrics::Predictions predictions;
  std::vector<std::string> files;  // below the data's root
  std::vector<int32_t> decided;    // the class at the model's threshold
};

struct Run {
  std::filesystem::path folder;
  bool experiment = false;                 // of `ptrain experiment`, else of `ptrain train`
  Json all;                                // report.json (docs/report.md); of a training the same places as far as it knows them
  std::vector<std::vector<Epoch>> stages;  // the head on the frozen net, the fine-tuning
  std::optional<PredictionTable> validation, test;

  std::filesystem::path file(const std::string& name) const { return folder / name; }
  std::filesystem::path data_root() const { return text(all, "/data/root"); }
  std::vector<std::string> classes() const;
  int positive() const;  // an index into classes(); the last one when the run does not say
  bool binary() const { return classes().size() == 2; }
  double threshold() const;  // of the decisions in the tables; NaN when there is none
};

// Error{data} when the folder is neither, or a file in it cannot be read; the message names the file.
Run read_run(const std::filesystem::path& folder);

// read_run.cpp
std::vector<std::vector<Epoch>> read_stages(const std::filesystem::path& metrics_jsonl);
PredictionTable read_predictions(const std::filesystem::path& csv, const std::vector<std::string>& classes);
Json read_json_lines(const std::filesystem::path& path);
// read_training.cpp: what the files of `ptrain train` say, in the places of report.json.
Json describe_training(const std::filesystem::path& folder);

}  // namespace ptrain::report
