// defines: CalibrationError, the expected calibration error of weighted images; chance_calibration_error()
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <span>

#include "train/metrics/patients.hpp"

namespace ptrain::metrics {

// Σ over 15 equal bins |Σ outcome − Σ score| / n: adds images up one by one. probability.hpp has the definition.
class CalibrationError {
 public:
  static constexpr size_t kBins = 15;

  // A score in [0, 1], whether the event happened, and how often the image counts.
  void add(double score, bool outcome, uint32_t times) {
    gaps_[std::min(size_t(score * double(kBins)), kBins - 1)] += times * (double(outcome) - score);
    n_ += times;
  }
  double value() const {
    double total = 0;
    for (double gap : gaps_) total += std::fabs(gap);
    return total / double(n_);
  }

 private:
  std::array<double, kBins> gaps_{};
  int64_t n_ = 0;
};

// The quantile of the calibration error that perfectly calibrated scores show by chance: each replicate draws the events anew with the
// scores as their probabilities (consistency resampling; Bröcker and Smith, Weather and Forecasting 22, 2007). One random number a patient, so
// that the images of a patient share their luck. An observed error below this says nothing against the scores.
double chance_calibration_error(std::span<const double> scores, const Groups& groups, double quantile, int replicates, uint64_t seed);

}  // namespace ptrain::metrics
