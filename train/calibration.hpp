// defines: fit_temperature(), apply_temperature(): probabilities that mean what they say
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ptrain {

// Guo et al., "On calibration of modern neural networks", ICML 2017: softmax(logits / T). One number, so it cannot overfit a validation set;
// the order of the classes of an image never changes, nor, with two classes, the order of the images: accuracy at 0.5 and AUC stay.
struct Temperature {
  double temperature = 1;
  double nll_before = 0, nll_after = 0;  // mean −log P(label) on the images it was fitted on, natural logarithm; after ≤ before
  bool at_limit = false;                 // the best T lies outside [0.01, 100]: the images are separated completely, or the logits mislead
};

// The T with the least mean negative log-likelihood. It is convex in 1/T, so a safeguarded Newton iteration finds the only minimum to 1e-12.
// logits: images × classes (log-probabilities serve as well). Fit on validation images only. Error{diverged} for logits that are not
// finite, Error{failed} for sizes or labels that do not fit.
Temperature fit_temperature(std::span<const double> logits, std::span<const int32_t> labels, int classes);

// softmax(logits / T) row by row.
std::vector<double> apply_temperature(std::span<const double> logits, int classes, double temperature);

// Logits of given probabilities: log p, with p cut at 1e-38 (where float32 ends). softmax of them gives the probabilities back.
std::vector<double> logits_of(std::span<const double> probabilities);

}  // namespace ptrain
