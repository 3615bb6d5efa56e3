// defines: the metrics of probabilities: brier_score(), log_loss(), calibration errors and the bins of a reliability diagram
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "train/metrics/interval.hpp"

namespace ptrain::metrics {

// Scores are probabilities of class 1, in [0, 1].

// Mean of (score − label)².
double brier_score(std::span<const int32_t> labels, std::span<const double> scores);

// Mean of −log P(label), probabilities cut to [ε, 1 − ε] with ε = 2.2e-16: scikit-learn's log_loss.
double log_loss(std::span<const int32_t> labels, std::span<const double> scores);
double log_loss_of(double probability_of_label);  // of one image

// One bar of a reliability diagram.
struct ReliabilityBin {
  int64_t n = 0, positives = 0;
  double low = 0, high = 0;        // scores in [low, high); the last bin holds 1 as well
  double mean_score = kUndefined;  // NaN in an empty bin, as the next two
  double fraction = kUndefined;    // positives / n
  Interval fraction_ci95;          // Wilson
  double gap = 0;                  // |Σ label − Σ score|, what the calibration errors add up
};
// Equal bins of the score; bin = min(⌊bins·score⌋, bins − 1).
std::vector<ReliabilityBin> reliability(std::span<const int32_t> labels, std::span<const double> scores, int bins = 15);

// Expected calibration error, Σ over bins |Σ label − Σ score| / n, with 15 bins. Naeini et al., AAAI 2015; Guo et al., ICML 2017.
double ece_positive(std::span<const int32_t> labels, std::span<const double> scores);    // probability of class 1 against the label
double ece_confidence(std::span<const int32_t> labels, std::span<const double> scores);  // max(s, 1 − s) against being right at 0.5

}  // namespace ptrain::metrics
