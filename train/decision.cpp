#include "train/decision.hpp"

#include <algorithm>

#include "train/metrics/calibration_error.hpp"

namespace ptrain {
namespace {

double confidence_error(const metrics::Predictions& p) {
  metrics::CalibrationError error;
  const std::vector<int32_t> chosen = p.most_likely();
  const size_t k = p.classes.size();
  for (size_t i = 0; i < p.size(); ++i) error.add(std::min(1.0, p.probabilities[i * k + size_t(chosen[i])]), chosen[i] == p.labels[i], 1);
  return error.value();
}

}  // namespace

metrics::Predictions at_temperature(const metrics::Predictions& at_one, double temperature) {
  metrics::Predictions p = at_one;
  if (temperature != 1) p.probabilities = apply_temperature(logits_of(at_one.probabilities), int(at_one.classes.size()), temperature);
  return p;
}

Temperature best_temperature(const metrics::Predictions& at_one) {
  Temperature t = fit_temperature(logits_of(at_one.probabilities), at_one.labels, int(at_one.classes.size()));
  if (t.at_limit) t.temperature = 1, t.nll_after = t.nll_before;
  return t;
}

Decision decide(const metrics::Predictions& validation, int positive, const OperatingPoint& point) {
  const int k = int(validation.classes.size());
  Decision d{.temperature = best_temperature(validation), .point = point};
  const metrics::Predictions calibrated = at_temperature(validation, d.temperature.temperature);
  d.ece_before = confidence_error(validation), d.ece_after = confidence_error(calibrated);
  if (k == 2) d.threshold = choose_threshold(point, calibrated.labels_against(positive), calibrated.scores(positive)).threshold;
  return d;
}

nlohmann::ordered_json to_json(const Decision& d, bool binary) {
  return {{"temperature", d.temperature.temperature},
          {"temperature_at_limit", d.temperature.at_limit},
          {"nll_before", d.temperature.nll_before},
          {"nll_after", d.temperature.nll_after},
          {"ece_before", d.ece_before},
          {"ece_after", d.ece_after},
          {"operating_point", d.point.text()},
          {"threshold", binary ? nlohmann::ordered_json(d.threshold) : nlohmann::ordered_json()}};
}

}  // namespace ptrain
