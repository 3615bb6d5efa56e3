// defines: Decision, how a model's probabilities are calibrated and where it decides; decide()
#pragma once

#include <nlohmann/json.hpp>

#include "train/calibration.hpp"
#include "train/metrics/predictions.hpp"
#include "train/operating_point.hpp"

namespace ptrain {

struct Decision {
  Temperature temperature;  // 1 when the images cannot tell it (Temperature::at_limit)
  OperatingPoint point;
  double threshold = 0.5;                // of the calibrated probability of the positive class; two classes only
  double ece_before = 0, ece_after = 0;  // expected calibration error of the most likely class on these images
};

// From a model's predictions on validation images at temperature 1. Two classes: `positive` is the one that the threshold is for. The
// threshold is chosen after the temperature, on the same images: it moves with the probabilities, the decisions stay what they were.
Decision decide(const metrics::Predictions& validation, int positive, const OperatingPoint& point);

// The temperature that suits these predictions best; 1 when they cannot tell it.
Temperature best_temperature(const metrics::Predictions& at_one);

// The same predictions at another temperature.
metrics::Predictions at_temperature(const metrics::Predictions& at_one, double temperature);

// temperature, nll_before, nll_after, ece_before, ece_after, operating_point, threshold (null for more than two classes).
nlohmann::ordered_json to_json(const Decision& decision, bool binary);

}  // namespace ptrain
