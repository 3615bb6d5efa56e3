// defines: the curves over all thresholds: roc_curve(), precision_recall_curve(), and the counts below them
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ptrain::metrics {

// What "positive when score ≥ this one" yields.
struct ThresholdCounts {
  double score;
  int64_t fp, tp;
};
// One entry for each distinct score, from the highest down.
std::vector<ThresholdCounts> threshold_counts(std::span<const int32_t> labels, std::span<const double> scores);

enum class Drop : uint8_t { nothing, intermediate };

// scikit-learn's roc_curve: begins at (0, 0) with threshold +infinity. With Drop::intermediate points inside straight runs are left out,
// which draws the same curve. A rate whose class is absent is NaN throughout.
struct RocCurve {
  std::vector<double> fpr, tpr, thresholds;
};
RocCurve roc_curve(std::span<const int32_t> labels, std::span<const double> scores, Drop drop = Drop::intermediate);

// scikit-learn's precision_recall_curve: thresholds ascend; the last point (precision 1, recall 0) has no threshold. Recall is 1 throughout
// when there is no positive label.
struct PrecisionRecallCurve {
  std::vector<double> precision, recall, thresholds;
};
PrecisionRecallCurve precision_recall_curve(std::span<const int32_t> labels, std::span<const double> scores);

}  // namespace ptrain::metrics
