// defines: pointwise 95 % bands around ROC and precision–recall curves
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ptrain::report {

// A curve read at evenly spaced places from 0 to 1, with the 2.5 % and 97.5 % quantiles of the bootstrap by patient (by image where
// patients are not known), and never less than Wilson's interval of the same counts: where a curve is at 1 every replicate is, which the
// truth need not be. Each place has its own interval: a whole curve leaves the band somewhere more often than in 5 % of cases.
struct Band {
  std::vector<double> x, y, low, high;  // low and high are NaN where there are too few images
};

// Sensitivity over 1 − specificity, straight lines between the points.
Band roc_band(std::span<const int32_t> labels, std::span<const double> scores, std::span<const std::string> patients, int replicates = 400,
              uint64_t seed = 0);
// Precision over recall: at each recall the precision of the lowest recall that is not below it.
Band precision_recall_band(std::span<const int32_t> labels, std::span<const double> scores, std::span<const std::string> patients,
                           int replicates = 400, uint64_t seed = 0);

}  // namespace ptrain::report
