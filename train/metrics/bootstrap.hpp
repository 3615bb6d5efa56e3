// defines: bootstrap(), intervals for any statistic, with the patient as the unit that is drawn
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "train/metrics/interval.hpp"
#include "train/metrics/patients.hpp"

namespace ptrain::metrics {

struct BootstrapOptions {
  int replicates = 2000;
  double confidence = 0.95;
  uint64_t seed = 0;
  std::vector<int32_t> strata;  // of each patient, or empty: with strata as many patients are drawn from each as it has
};

struct BootstrapResult {
  Interval percentile;     // quantiles of the replicates (numpy's default), Efron 1979; NaN when more than 5 % are undefined
  Interval basic;          // 2·estimate − the other quantile: for statistics that resampling biases, such as calibration errors
  double se = kUndefined;  // standard deviation of the replicates, n − 1 divisor
  int undefined = 0;       // replicates in which the statistic has no value (a class was not drawn); they are left out
};

// Computes all statistics at once: times[i] says how often image i is drawn; fills `values`, NaN where a statistic has no value.
using Statistics = std::function<void(std::span<const uint32_t> times, std::span<double> values)>;

// Draws as many patients as there are, with replacement, each with all of its images (the cluster bootstrap: images of one patient are
// alike, and intervals that ignore this are too narrow). Percentile intervals, not BCa: they need no jackknife over patients, and reading them
// needs no explanation; the simulations in the tests say how well they cover. One patient alone gives no interval. Bit for bit the same for
// the same seed, whatever the machine. Time: replicates × one call of `compute`.
std::vector<BootstrapResult> bootstrap(const Groups& groups, size_t count, const Statistics& compute, const BootstrapOptions& options = {});

}  // namespace ptrain::metrics
