#include "train/metrics/probability.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "train/metrics/check.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::metrics {

using statistics::Sum;

double brier_score(std::span<const int32_t> labels, std::span<const double> scores) {
  check_probabilities("brier_score", labels, scores);
  Sum total;
  for (size_t i = 0; i < labels.size(); ++i) total.add((scores[i] - labels[i]) * (scores[i] - labels[i]));
  return total.value() / double(labels.size());
}

double log_loss_of(double probability_of_label) {
  constexpr double eps = std::numeric_limits<double>::epsilon();
  return -std::log(std::clamp(probability_of_label, eps, 1 - eps));
}

double log_loss(std::span<const int32_t> labels, std::span<const double> scores) {
  check_probabilities("log_loss", labels, scores);
  Sum total;
  for (size_t i = 0; i < labels.size(); ++i) total.add(log_loss_of(labels[i] ? scores[i] : 1 - scores[i]));
  return total.value() / double(labels.size());
}

std::vector<ReliabilityBin> reliability(std::span<const int32_t> labels, std::span<const double> scores, int bins) {
  check_probabilities("reliability", labels, scores);
  REQUIRE_THAT(bins >= 1, "reliability: ", bins, " bins");
  std::vector<ReliabilityBin> result(static_cast<size_t>(bins));
  std::vector<Sum> sums(result.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const size_t b = std::min(size_t(scores[i] * bins), result.size() - 1);
    ++result[b].n;
    result[b].positives += labels[i];
    sums[b].add(scores[i]);
  }
  for (size_t b = 0; b < result.size(); ++b) {
    ReliabilityBin& bin = result[b];
    bin.low = double(b) / bins, bin.high = double(b + 1) / bins;
    if (bin.n == 0) continue;
    bin.mean_score = sums[b].value() / double(bin.n);
    bin.fraction = double(bin.positives) / double(bin.n);
    bin.fraction_ci95 = wilson(bin.positives, bin.n);
    bin.gap = std::fabs(double(bin.positives) - sums[b].value());
  }
  return result;
}

double ece_positive(std::span<const int32_t> labels, std::span<const double> scores) {
  Sum total;
  for (const ReliabilityBin& bin : reliability(labels, scores)) total.add(bin.gap);
  return total.value() / double(labels.size());
}

double ece_confidence(std::span<const int32_t> labels, std::span<const double> scores) {
  check_probabilities("ece_confidence", labels, scores);
  std::vector<int32_t> right(labels.size());
  std::vector<double> confidence(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    right[i] = (scores[i] >= 0.5) == (labels[i] == 1);
    confidence[i] = std::max(scores[i], 1 - scores[i]);
  }
  return ece_positive(right, confidence);
}

}  // namespace ptrain::metrics
