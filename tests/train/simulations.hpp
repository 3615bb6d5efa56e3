// defines: what the simulations of intervals and tests share
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "train/statistics/normal.hpp"
#include "train/statistics/random.hpp"

namespace ptrain::test {

inline double four_errors(double p, int n) { return 4 * std::sqrt(p * (1 - p) / n); }
inline double normal(statistics::RandomStream& r) { return statistics::normal_quantile(r.unit()); }
// Of two normal distributions with standard deviation 1.
inline double separation(double auc) { return std::sqrt(2.0) * statistics::normal_quantile(auc); }

struct Sample {
  std::vector<int32_t> labels;
  std::vector<double> scores;
};

}  // namespace ptrain::test
