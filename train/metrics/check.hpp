// defines: what every metric asks of its input before it computes anything
#pragma once

#include <cmath>
#include <cstdint>
#include <span>

#include "kernels/error.hpp"

namespace ptrain::metrics {

// Error{diverged} when a score is not a finite number: no metric is computed from such a model.
inline void check_finite(const char* what, std::span<const double> scores) {
  for (size_t i = 0; i < scores.size(); ++i)
    if (!std::isfinite(scores[i]))
      fail(ErrorKind::diverged, what, ": score ", i, " of ", scores.size(), " is ", scores[i], "; the model gives no number here, so there is nothing to measure");
}

// As many labels as scores, at least one, every label 0 or 1, every score finite.
inline void check_binary(const char* what, std::span<const int32_t> labels, std::span<const double> scores) {
  REQUIRE_THAT(labels.size() == scores.size() && !labels.empty(), what, ": ", labels.size(), " labels and ", scores.size(), " scores");
  for (int32_t label : labels) REQUIRE_THAT(label == 0 || label == 1, what, ": a label is ", label, ", only 0 and 1 are binary");
  check_finite(what, scores);
}

// As above, and every score lies in [0, 1].
inline void check_probabilities(const char* what, std::span<const int32_t> labels, std::span<const double> scores) {
  check_binary(what, labels, scores);
  for (double s : scores) REQUIRE_THAT(s >= 0 && s <= 1, what, ": a score of ", s, " is not a probability");
}

}  // namespace ptrain::metrics
