// defines: Confusion, the four counts of a binary decision, and the metrics made of them
#pragma once

#include <cstdint>
#include <span>

namespace ptrain::metrics {

// scikit-learn's confusion_matrix(...).ravel(). Positive is class 1.
struct Confusion {
  int64_t tn = 0, fp = 0, fn = 0, tp = 0;
  int64_t n() const { return tn + fp + fn + tp; }
  int64_t positives() const { return tp + fn; }  // by label
  int64_t negatives() const { return tn + fp; }
  bool operator==(const Confusion&) const = default;
};

// Predicts positive when score ≥ threshold.
Confusion confusion_at(std::span<const int32_t> labels, std::span<const double> scores, double threshold);

// As scikit-learn defines them; NaN where a denominator is 0, except f1 and mcc, which are 0 there (scikit-learn's values).
double accuracy(const Confusion& c);           // (tp + tn) / n
double sensitivity(const Confusion& c);        // tp / (tp + fn): recall, true positive rate
double specificity(const Confusion& c);        // tn / (tn + fp): true negative rate
double precision(const Confusion& c);          // tp / (tp + fp): positive predictive value
double npv(const Confusion& c);                // tn / (tn + fn): negative predictive value
double balanced_accuracy(const Confusion& c);  // (sensitivity + specificity) / 2; NaN when the labels are of one class
double f1(const Confusion& c);                 // 2·tp / (2·tp + fp + fn)
// (tp·tn − fp·fn) / √((tp + fp)(tp + fn)(tn + fp)(tn + fn)), Matthews 1975
double mcc(const Confusion& c);
// (observed − expected agreement) / (1 − expected), Cohen 1960; NaN when the labels are of one class
double cohen_kappa(const Confusion& c);

}  // namespace ptrain::metrics
