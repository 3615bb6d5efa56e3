#include "train/metrics/threshold.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "train/metrics/check.hpp"
#include "train/metrics/curves.hpp"

namespace ptrain::metrics {
namespace {

std::vector<ThresholdCounts> counts_of(std::span<const int32_t> labels, std::span<const double> scores) {
  check_probabilities("choosing a threshold", labels, scores);
  std::vector<ThresholdCounts> counts = threshold_counts(labels, scores);
  if (counts.back().tp == 0 || counts.back().fp == 0)
    fail(ErrorKind::data, "choosing a threshold: all ", labels.size(), " images are ", counts.back().tp ? "positive" : "negative",
         "; images of both classes are needed to weigh sensitivity against specificity");
  return counts;
}

// `at` is an index into counts, or −1: nothing is called positive.
ChosenThreshold choice(const std::vector<ThresholdCounts>& counts, int64_t at) {
  const ThresholdCounts all = counts.back();
  const double above = at < 0 ? std::numeric_limits<double>::infinity() : counts[size_t(at)].score;
  const bool lowest = at + 1 == int64_t(counts.size());
  const double below = lowest ? 0 : counts[size_t(at + 1)].score;
  const int64_t fp = at < 0 ? 0 : counts[size_t(at)].fp, tp = at < 0 ? 0 : counts[size_t(at)].tp;
  double threshold = below + (std::min(above, 1.0) - below) / 2;              // above the highest score: half way to 1
  if (threshold <= below && !lowest) threshold = std::nextafter(below, 2.0);  // the two are neighbouring numbers, or both are 1
  return {threshold, above, {.tn = all.fp - fp, .fp = fp, .fn = all.tp - tp, .tp = tp}};
}

void check_target(const char* what, double target) {
  if (!(target > 0 && target <= 1))
    fail(ErrorKind::usage, "a target ", what, " of ", target, " is not possible: it lies above 0 and up to 1");
}

}  // namespace

ChosenThreshold youden_threshold(std::span<const int32_t> labels, std::span<const double> scores) {
  const std::vector<ThresholdCounts> counts = counts_of(labels, scores);
  const int64_t positives = counts.back().tp, negatives = counts.back().fp;
  const auto j = [&](const ThresholdCounts& c) { return c.tp * negatives - c.fp * positives; };  // J·positives·negatives, exact
  size_t best = 0;
  for (size_t i = 1; i < counts.size(); ++i)
    if (j(counts[i]) > j(counts[best])) best = i;
  return choice(counts, int64_t(best));
}

ChosenThreshold threshold_for_sensitivity(std::span<const int32_t> labels, std::span<const double> scores, double target) {
  check_target("sensitivity", target);
  const std::vector<ThresholdCounts> counts = counts_of(labels, scores);
  int64_t at = 0;
  while (double(counts[size_t(at)].tp) / double(counts.back().tp) < target) ++at;  // the last one has sensitivity 1
  return choice(counts, at);
}

ChosenThreshold threshold_for_specificity(std::span<const int32_t> labels, std::span<const double> scores, double target) {
  check_target("specificity", target);
  const std::vector<ThresholdCounts> counts = counts_of(labels, scores);
  const double negatives = double(counts.back().fp);
  int64_t at = -1;
  while (at + 1 < int64_t(counts.size()) && (negatives - double(counts[size_t(at + 1)].fp)) / negatives >= target) ++at;
  return choice(counts, at);
}

}  // namespace ptrain::metrics
