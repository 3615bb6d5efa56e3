// defines: Evaluation, everything that is said about a model on one set of images; evaluate(); to_json()
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "train/metrics/confusion.hpp"
#include "train/metrics/interval.hpp"
#include "train/metrics/multiclass.hpp"
#include "train/metrics/predictions.hpp"

namespace ptrain::metrics {

// A value and its 95 % intervals. NaN where there is none.
struct Metric {
  std::string name;
  double value = kUndefined;
  // Proportions: Wilson. AUC: DeLong (Wald). Both take images to be independent. All else: the percentile bootstrap, which draws patients
  // where they are known, else images. Calibration errors, which chance only raises: the basic bootstrap, cut to [0, 1], from 0 when
  // calibrated scores would show as much (calibration_error.hpp); it covers in 84 to 97 of 100 simulations.
  Interval ci95;
  Interval ci95_patient;  // proportions and AUC: the percentile bootstrap by patient, where patients are known
};

// What depends on a threshold.
struct Decisions {
  double threshold = 0.5;
  Confusion confusion;
  // accuracy balanced_accuracy sensitivity specificity precision npv f1 mcc cohen_kappa
  std::vector<Metric> metrics;
};

struct ClassEvaluation {
  std::string name;
  int64_t n = 0;                // images with this label
  Confusion confusion;          // this class against all others, by the most likely class
  std::vector<Metric> metrics;  // sensitivity specificity precision npv f1 auc average_precision
};

struct EvaluationOptions {
  double threshold = 0.5;  // two classes: positive when the probability of the positive class is at least this
  int positive = -1;       // two classes: an index into classes; −1 is the last
  int bootstrap_replicates = 2000;
  uint64_t seed = 0;
};

struct Evaluation {
  int64_t n = 0;
  std::vector<std::string> classes;
  int64_t patients = -1;       // −1 when they are not known
  int64_t mixed_patients = 0;  // patients with images of several labels
  EvaluationOptions options;   // as used: `positive` is an index, or −1 for more than two classes
  ConfusionMatrix matrix{2};   // rows: labels, columns: predictions. Two classes: negative, positive; else the order of `classes`

  // Two classes: decisions at the threshold asked for and at 0.5, then auc average_precision brier log_loss ece_positive ece_confidence.
  // More: decisions by the most likely class (`chosen`, its threshold NaN), means over classes (multiclass.hpp), and per_class.
  Decisions chosen, plain;
  std::vector<Metric> metrics;
  Interval auc_ci95_logit;
  double auc_se = kUndefined;
  std::vector<ClassEvaluation> per_class;

  std::vector<Evaluation> per_patient;  // one, of the mean probability of each patient (patients.hpp); none when they are not known
  std::vector<std::string> warnings;    // what a reader must know about these numbers

  bool binary() const { return classes.size() == 2; }
  const Metric& metric(std::string_view name) const;  // of `metrics` or `chosen`; throws for a name that is in neither
};

// Error{diverged} for a probability that is not finite, Error{usage} for a positive class or a threshold that cannot be.
Evaluation evaluate(const Predictions& predictions, const EvaluationOptions& options = {});

// Keys: n, classes, positive, positives, patients, threshold, each metric by its name with `<name>_ci95` (and `<name>_ci95_patient`),
// confusion (the matrix; two classes: [[tn, fp], [fn, tp]], and tn, fp, fn, tp), auc_ci95_logit, auc_se, at_0.5 {…}, per_class […],
// per_patient {…}, intervals {how they were made}, warnings. Undefined numbers and intervals are null.
nlohmann::ordered_json to_json(const Evaluation& evaluation);
nlohmann::ordered_json to_json(const Interval& interval);  // [low, high], or null

}  // namespace ptrain::metrics
