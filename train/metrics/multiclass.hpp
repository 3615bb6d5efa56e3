// defines: ConfusionMatrix and the metrics of any number of classes; MulticlassStatistics for bootstrap()
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "train/metrics/confusion.hpp"
#include "train/metrics/predictions.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain::metrics {

// Rows are labels, columns are predictions: scikit-learn's confusion_matrix.
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(int classes) : classes_(classes), counts_(size_t(classes) * size_t(classes)) {}
  int64_t& at(int label, int predicted) { return counts_[size_t(label * classes_ + predicted)]; }
  int64_t at(int label, int predicted) const { return counts_[size_t(label * classes_ + predicted)]; }
  int classes() const { return classes_; }
  int64_t n() const;
  int64_t correct() const;
  int64_t labelled(int c) const;              // sum of a row
  int64_t predicted(int c) const;             // sum of a column
  Confusion one_vs_rest(int positive) const;  // this class against all others

 private:
  int classes_;
  std::vector<int64_t> counts_;
};
ConfusionMatrix confusion_matrix(std::span<const int32_t> labels, std::span<const int32_t> predicted, int classes);

// As scikit-learn's: a class that is never predicted has precision 0; a class that is neither label nor prediction is left out of
// means over classes; recall (balanced accuracy) is a mean over classes that have labels.
double accuracy(const ConfusionMatrix& m);
double balanced_accuracy(const ConfusionMatrix& m);  // mean sensitivity
double macro_specificity(const ConfusionMatrix& m);  // mean over classes that have other labels beside them
double macro_precision(const ConfusionMatrix& m);
double macro_f1(const ConfusionMatrix& m);
double mcc(const ConfusionMatrix& m);          // Gorodkin 2004; 0 when undefined
double cohen_kappa(const ConfusionMatrix& m);  // NaN when the labels are of one class

// All metrics at once, with image i counted times[i] times. AUC and average precision are means over one-vs-rest values of the classes
// that have labels and do not have all of them (scikit-learn: multi_class="ovr", average="macro"); the Brier score is
// Σ_k (p_k − [label = k])² per image. In a bootstrap replicate that misses one of those classes the means are NaN.
class MulticlassStatistics {
 public:
  static constexpr std::array<std::string_view, 12> kNames{"accuracy", "balanced_accuracy", "specificity", "precision",         "f1",
                                                           "mcc",      "cohen_kappa",       "auc",         "average_precision", "brier",
                                                           "log_loss", "ece_confidence"};
  explicit MulticlassStatistics(const Predictions& predictions);  // checked
  void operator()(std::span<const uint32_t> times, std::span<double> values) const;

 private:
  struct Image {
    double squared_error, log_loss, confidence;
    int32_t label, predicted;
  };
  int classes_;
  int64_t present_ = 0;  // classes that have labels
  std::vector<Image> images_;
  std::vector<Ranking> rankings_;  // one-vs-rest
};

}  // namespace ptrain::metrics
