// defines: the choice of a decision threshold: Youden's index, a target sensitivity, a target specificity
#pragma once

#include <cstdint>
#include <span>

#include "train/metrics/confusion.hpp"

namespace ptrain::metrics {

// A threshold on the score, half way between the lowest score that it calls positive and the next lower score (0 when there is none), so
// that no image of the set lies on it and rounding on another device changes no decision. The counts are those of scikit-learn's
// roc_curve at `score`. To be chosen on validation images only.
struct ChosenThreshold {
  double threshold = 0.5;
  double score = 0.5;   // the lowest score that is called positive; +infinity when none is
  Confusion confusion;  // of the images that it was chosen on
};

// All three throw Error{data} when the labels are of one class; scores are probabilities.

// The largest J = sensitivity + specificity − 1 (Youden, Cancer 3, 1950); of equal ones the highest threshold, as argmax(tpr − fpr) over
// scikit-learn's curve. At least one image is called positive.
ChosenThreshold youden_threshold(std::span<const int32_t> labels, std::span<const double> scores);

// The highest threshold with sensitivity ≥ target, which has the best specificity of those. 0 < target ≤ 1.
ChosenThreshold threshold_for_sensitivity(std::span<const int32_t> labels, std::span<const double> scores, double target);

// The lowest threshold with specificity ≥ target, which has the best sensitivity of those. It may call nothing positive. 0 < target ≤ 1.
ChosenThreshold threshold_for_specificity(std::span<const int32_t> labels, std::span<const double> scores, double target);

}  // namespace ptrain::metrics
