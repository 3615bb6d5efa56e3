// defines: the metrics of a ranking, which need no threshold: roc_auc(), average_precision(); midranks()
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ptrain::metrics {

// Positions from the highest score to the lowest; equal scores keep their order.
std::vector<uint32_t> descending(std::span<const double> scores);

// Ranks from 1 (lowest); equal scores share the mean of their ranks.
std::vector<double> midranks(std::span<const double> scores);

// The probability that a positive image scores above a negative one, ties counting half (Mann and Whitney's U over its maximum),
// which is the area under the ROC curve by trapezia: scikit-learn's roc_auc_score. NaN when the labels are of one class.
double roc_auc(std::span<const int32_t> labels, std::span<const double> scores);

// Σ (recall_k − recall_(k−1))·precision_k over the distinct scores from the highest down, without interpolation: scikit-learn's
// average_precision_score. NaN without a positive label.
double average_precision(std::span<const int32_t> labels, std::span<const double> scores);

// Both, for image i counted times[i] times (a bootstrap replicate), over scores sorted once.
class Ranking {
 public:
  Ranking(std::span<const int32_t> labels, std::span<const double> scores);
  double roc_auc(std::span<const uint32_t> times) const;
  double average_precision(std::span<const uint32_t> times) const;

 private:
  struct Place {
    uint32_t image;
    bool positive, last_of_tie;
  };
  std::vector<Place> places_;  // from the highest score down
};

}  // namespace ptrain::metrics
