// defines: BinaryStatistics, all metrics of a binary decision at once, for bootstrap()
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "train/metrics/confusion.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain::metrics {

// What confusion.hpp, ranking.hpp and probability.hpp define, with image i counted times[i] times. Scores are sorted once, so a
// bootstrap replicate is one pass over the images.
class BinaryStatistics {
 public:
  static constexpr std::array<std::string_view, 15> kNames{
      "accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision",    "npv",           "f1", "mcc", "cohen_kappa",
      "auc",      "average_precision", "brier",       "log_loss",    "ece_positive", "ece_confidence"};

  // Scores are probabilities of class 1; positive when score ≥ threshold.
  BinaryStatistics(std::span<const int32_t> labels, std::span<const double> scores, double threshold);

  Confusion confusion(std::span<const uint32_t> times) const;
  void operator()(std::span<const uint32_t> times, std::span<double> values) const;  // in the order of kNames

 private:
  struct Image {
    double score, squared_error, log_loss;
    bool label, called;
  };
  std::vector<Image> images_;
  Ranking ranking_;
};

}  // namespace ptrain::metrics
