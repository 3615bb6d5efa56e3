// defines: CalibrationError, the expected calibration error of weighted images, for bootstrap replicates
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

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

}  // namespace ptrain::metrics
