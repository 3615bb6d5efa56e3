#include "train/metrics/multiclass.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "train/metrics/calibration_error.hpp"
#include "train/metrics/check.hpp"
#include "train/metrics/interval.hpp"
#include "train/metrics/probability.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::metrics {
namespace {

// The mean of value(c) over the classes that `counts(c)` names; NaN when there is none.
template <class Counts, class Value>
double mean_over_classes(const ConfusionMatrix& m, Counts counts, Value value) {
  double total = 0;
  int classes = 0;
  for (int c = 0; c < m.classes(); ++c)
    if (counts(c)) total += value(m.one_vs_rest(c)), ++classes;
  return classes == 0 ? kUndefined : total / classes;
}

}  // namespace

int64_t ConfusionMatrix::n() const { return std::accumulate(counts_.begin(), counts_.end(), int64_t(0)); }

int64_t ConfusionMatrix::correct() const {
  int64_t total = 0;
  for (int c = 0; c < classes_; ++c) total += at(c, c);
  return total;
}

int64_t ConfusionMatrix::labelled(int c) const {
  int64_t total = 0;
  for (int other = 0; other < classes_; ++other) total += at(c, other);
  return total;
}

int64_t ConfusionMatrix::predicted(int c) const {
  int64_t total = 0;
  for (int other = 0; other < classes_; ++other) total += at(other, c);
  return total;
}

Confusion ConfusionMatrix::one_vs_rest(int positive) const {
  const int64_t tp = at(positive, positive), fn = labelled(positive) - tp, fp = predicted(positive) - tp;
  return {.tn = n() - tp - fn - fp, .fp = fp, .fn = fn, .tp = tp};
}

ConfusionMatrix confusion_matrix(std::span<const int32_t> labels, std::span<const int32_t> predicted, int classes) {
  REQUIRE_THAT(labels.size() == predicted.size(), "confusion_matrix: ", labels.size(), " labels and ", predicted.size(), " predictions");
  ConfusionMatrix m(classes);
  for (size_t i = 0; i < labels.size(); ++i) {
    REQUIRE_THAT(labels[i] >= 0 && labels[i] < classes && predicted[i] >= 0 && predicted[i] < classes, "confusion_matrix: label ",
                 labels[i], " and prediction ", predicted[i], " of ", classes, " classes");
    ++m.at(labels[i], predicted[i]);
  }
  return m;
}

double accuracy(const ConfusionMatrix& m) { return m.n() == 0 ? kUndefined : double(m.correct()) / double(m.n()); }

double balanced_accuracy(const ConfusionMatrix& m) {
  return mean_over_classes(
      m, [&](int c) { return m.labelled(c) > 0; }, [](const Confusion& c) { return sensitivity(c); });
}

double macro_specificity(const ConfusionMatrix& m) {
  return mean_over_classes(
      m, [&](int c) { return m.labelled(c) < m.n(); }, [](const Confusion& c) { return specificity(c); });
}

double macro_precision(const ConfusionMatrix& m) {
  return mean_over_classes(
      m, [&](int c) { return m.labelled(c) + m.predicted(c) > 0; },
      [](const Confusion& c) { return c.tp + c.fp == 0 ? 0.0 : precision(c); });
}

double macro_f1(const ConfusionMatrix& m) {
  return mean_over_classes(
      m, [&](int c) { return m.labelled(c) + m.predicted(c) > 0; }, [](const Confusion& c) { return f1(c); });
}

double mcc(const ConfusionMatrix& m) {
  const double n = double(m.n());
  double together = 0, labels = 0, predictions = 0;  // Σ of products of row and column sums
  for (int c = 0; c < m.classes(); ++c) {
    const double l = double(m.labelled(c)), p = double(m.predicted(c));
    together += l * p, labels += l * l, predictions += p * p;
  }
  const double spread = (n * n - labels) * (n * n - predictions);
  return spread == 0 ? 0 : (double(m.correct()) * n - together) / std::sqrt(spread);
}

double cohen_kappa(const ConfusionMatrix& m) {
  const double n = double(m.n());
  double expected = 0;
  for (int c = 0; c < m.classes(); ++c) {
    if (m.labelled(c) == m.n()) return kUndefined;
    expected += double(m.labelled(c)) * double(m.predicted(c));
  }
  return (double(m.correct()) * n - expected) / (n * n - expected);
}

MulticlassStatistics::MulticlassStatistics(const Predictions& p) : classes_(int(p.classes.size())) {
  check(p);
  const std::vector<int32_t> predicted = p.most_likely();
  const size_t k = p.classes.size();
  images_.reserve(p.size());
  for (size_t i = 0; i < p.size(); ++i) {
    double squared = 0;
    for (size_t c = 0; c < k; ++c) {
      const double error = p.probabilities[i * k + c] - double(size_t(p.labels[i]) == c);
      squared += error * error;
    }
    images_.push_back({squared, log_loss_of(p.probabilities[i * k + size_t(p.labels[i])]), p.probabilities[i * k + size_t(predicted[i])],
                       p.labels[i], predicted[i]});
  }
  for (int c = 0; c < classes_; ++c) {
    const auto n = std::ranges::count(p.labels, c);
    present_ += n > 0;
    if (n > 0 && n < std::ptrdiff_t(p.size())) rankings_.emplace_back(p.labels_against(c), p.scores(c));
  }
}

void MulticlassStatistics::operator()(std::span<const uint32_t> times, std::span<double> values) const {
  REQUIRE_THAT(times.size() == images_.size() && values.size() == kNames.size(), "statistics of ", times.size(), " images");
  ConfusionMatrix m(classes_);
  statistics::Sum brier, loss;
  CalibrationError confidence;
  for (size_t i = 0; i < images_.size(); ++i) {
    const Image& image = images_[i];
    if (times[i] == 0) continue;
    m.at(image.label, image.predicted) += times[i];
    brier.add(times[i] * image.squared_error);
    loss.add(times[i] * image.log_loss);
    confidence.add(image.confidence, image.label == image.predicted, times[i]);
  }
  double auc = 0, ap = 0;
  for (const Ranking& r : rankings_) auc += r.roc_auc(times), ap += r.average_precision(times);
  int64_t present = 0;
  for (int c = 0; c < classes_; ++c) present += m.labelled(c) > 0;
  const double n = double(m.n()), ranked = rankings_.empty() ? kUndefined : double(rankings_.size());
  const double whole = present == present_ ? 0 : kUndefined;  // NaN makes means over classes NaN
  const std::array<double, kNames.size()> all{accuracy(m),
                                              balanced_accuracy(m) + whole,
                                              macro_specificity(m) + whole,
                                              macro_precision(m) + whole,
                                              macro_f1(m) + whole,
                                              mcc(m),
                                              cohen_kappa(m),
                                              auc / ranked,
                                              ap / ranked,
                                              brier.value() / n,
                                              loss.value() / n,
                                              confidence.value()};
  std::ranges::copy(all, values.begin());
}

}  // namespace ptrain::metrics
