#include "train/metrics/confusion.hpp"

#include <cmath>

#include "train/metrics/check.hpp"
#include "train/metrics/interval.hpp"

namespace ptrain::metrics {
namespace {

double ratio(int64_t above, int64_t below) { return below == 0 ? kUndefined : double(above) / double(below); }

// tp·tn − fp·fn. Each product is below 2^62, since no file list has 2^31 images.
double determinant(const Confusion& c) { return double(c.tp * c.tn - c.fp * c.fn); }

}  // namespace

Confusion confusion_at(std::span<const int32_t> labels, std::span<const double> scores, double threshold) {
  check_binary("confusion", labels, scores);
  REQUIRE_THAT(!std::isnan(threshold), "confusion: the threshold is not a number");
  Confusion c;
  for (size_t i = 0; i < labels.size(); ++i)
    if (scores[i] >= threshold) ++(labels[i] ? c.tp : c.fp);
    else ++(labels[i] ? c.fn : c.tn);
  return c;
}

double accuracy(const Confusion& c) { return ratio(c.tp + c.tn, c.n()); }
double sensitivity(const Confusion& c) { return ratio(c.tp, c.tp + c.fn); }
double specificity(const Confusion& c) { return ratio(c.tn, c.tn + c.fp); }
double precision(const Confusion& c) { return ratio(c.tp, c.tp + c.fp); }
double npv(const Confusion& c) { return ratio(c.tn, c.tn + c.fn); }
double balanced_accuracy(const Confusion& c) { return (sensitivity(c) + specificity(c)) / 2; }

double f1(const Confusion& c) {
  const int64_t below = 2 * c.tp + c.fp + c.fn;
  return below == 0 ? 0 : double(2 * c.tp) / double(below);
}

double mcc(const Confusion& c) {
  const double called = double(c.tp + c.fp) * double(c.tn + c.fn), labelled = double(c.positives()) * double(c.negatives());
  return called == 0 || labelled == 0 ? 0 : determinant(c) / (std::sqrt(called) * std::sqrt(labelled));
}

double cohen_kappa(const Confusion& c) {
  if (c.positives() == 0 || c.negatives() == 0) return kUndefined;
  const double expected_misses = double(c.tp + c.fp) * double(c.negatives()) + double(c.positives()) * double(c.tn + c.fn);
  return 2 * determinant(c) / expected_misses;
}

}  // namespace ptrain::metrics
