// defines: predictions as a table: write_predictions(), read_predictions()
#pragma once

#include <filesystem>
#include <span>

#include "data/manifest.hpp"
#include "train/metrics/predictions.hpp"

namespace ptrain {

// The class that is decided for each image. Two classes: the positive one when its probability is at least the threshold; more: the most
// likely one.
std::vector<int32_t> decisions(const metrics::Predictions& predictions, int positive, double threshold);

// file,label,predicted,patient,p_CLASS…; `images` are the entries of the manifest that the predictions are for, in order.
// Probabilities are written so that reading gives the same bits.
void write_predictions(const std::filesystem::path& path, const Manifest& manifest, std::span<const int64_t> images,
                       const metrics::Predictions& predictions, int positive, double threshold);

struct PredictionTable {
  std::vector<std::string> files;
  std::vector<int32_t> predicted;
  metrics::Predictions predictions;  // with patients; classes as the columns name them
};
// Error{data} when the table is not as above.
PredictionTable read_predictions(const std::filesystem::path& path);

}  // namespace ptrain
