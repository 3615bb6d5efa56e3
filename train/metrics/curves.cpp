#include "train/metrics/curves.hpp"

#include <limits>

#include "train/metrics/check.hpp"
#include "train/metrics/interval.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain::metrics {

std::vector<ThresholdCounts> threshold_counts(std::span<const int32_t> labels, std::span<const double> scores) {
  check_binary("threshold_counts", labels, scores);
  std::vector<ThresholdCounts> counts;
  int64_t fp = 0, tp = 0;
  for (uint32_t i : descending(scores)) {
    ++(labels[i] ? tp : fp);
    if (!counts.empty() && counts.back().score == scores[i]) counts.back() = {scores[i], fp, tp};
    else counts.push_back({scores[i], fp, tp});
  }
  return counts;
}

RocCurve roc_curve(std::span<const int32_t> labels, std::span<const double> scores, Drop drop) {
  const std::vector<ThresholdCounts> counts = threshold_counts(labels, scores);
  const auto bends = [&](size_t i) {
    const ThresholdCounts &before = counts[i - 1], &here = counts[i], &after = counts[i + 1];
    return after.fp - here.fp != here.fp - before.fp || after.tp - here.tp != here.tp - before.tp;
  };
  const auto rate = [](int64_t part, int64_t all) { return all == 0 ? kUndefined : double(part) / double(all); };
  const ThresholdCounts all = counts.back();
  RocCurve curve{{rate(0, all.fp)}, {rate(0, all.tp)}, {std::numeric_limits<double>::infinity()}};
  for (size_t i = 0; i < counts.size(); ++i) {
    if (drop == Drop::intermediate && i > 0 && i + 1 < counts.size() && !bends(i)) continue;
    curve.fpr.push_back(rate(counts[i].fp, all.fp));
    curve.tpr.push_back(rate(counts[i].tp, all.tp));
    curve.thresholds.push_back(counts[i].score);
  }
  return curve;
}

PrecisionRecallCurve precision_recall_curve(std::span<const int32_t> labels, std::span<const double> scores) {
  const std::vector<ThresholdCounts> counts = threshold_counts(labels, scores);
  const int64_t positives = counts.back().tp;
  PrecisionRecallCurve curve;
  for (auto c = counts.rbegin(); c != counts.rend(); ++c) {
    curve.precision.push_back(double(c->tp) / double(c->tp + c->fp));
    curve.recall.push_back(positives == 0 ? 1 : double(c->tp) / double(positives));
    curve.thresholds.push_back(c->score);
  }
  curve.precision.push_back(1);
  curve.recall.push_back(0);
  return curve;
}

}  // namespace ptrain::metrics
