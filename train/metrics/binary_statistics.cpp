#include "train/metrics/binary_statistics.hpp"

#include <algorithm>

#include "train/metrics/calibration_error.hpp"
#include "train/metrics/check.hpp"
#include "train/metrics/probability.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::metrics {

BinaryStatistics::BinaryStatistics(std::span<const int32_t> labels, std::span<const double> scores, double threshold)
    : ranking_(labels, scores) {
  check_probabilities("evaluation", labels, scores);
  images_.reserve(labels.size());
  for (size_t i = 0; i < labels.size(); ++i) {
    const double s = scores[i], y = labels[i];
    images_.push_back({s, (s - y) * (s - y), log_loss_of(labels[i] ? s : 1 - s), labels[i] == 1, s >= threshold});
  }
}

Confusion BinaryStatistics::confusion(std::span<const uint32_t> times) const {
  Confusion c;
  for (size_t i = 0; i < images_.size(); ++i)
    (images_[i].label ? (images_[i].called ? c.tp : c.fn) : (images_[i].called ? c.fp : c.tn)) += times[i];
  return c;
}

void BinaryStatistics::operator()(std::span<const uint32_t> times, std::span<double> values) const {
  REQUIRE_THAT(times.size() == images_.size() && values.size() == kNames.size(), "binary statistics of ", times.size(), " images");
  statistics::Sum brier, loss;
  CalibrationError positive, confidence;
  for (size_t i = 0; i < images_.size(); ++i) {
    const Image& image = images_[i];
    if (times[i] == 0) continue;
    brier.add(times[i] * image.squared_error);
    loss.add(times[i] * image.log_loss);
    positive.add(image.score, image.label, times[i]);
    confidence.add(std::max(image.score, 1 - image.score), (image.score >= 0.5) == image.label, times[i]);
  }
  const Confusion c = confusion(times);
  const double n = double(c.n());
  const std::array<double, kNames.size()> all{accuracy(c),
                                              balanced_accuracy(c),
                                              sensitivity(c),
                                              specificity(c),
                                              precision(c),
                                              npv(c),
                                              f1(c),
                                              mcc(c),
                                              cohen_kappa(c),
                                              ranking_.roc_auc(times),
                                              ranking_.average_precision(times),
                                              brier.value() / n,
                                              loss.value() / n,
                                              positive.value(),
                                              confidence.value()};
  std::ranges::copy(all, values.begin());
}

}  // namespace ptrain::metrics
