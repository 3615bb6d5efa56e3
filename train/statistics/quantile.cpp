#include "train/statistics/quantile.hpp"

#include <cmath>

#include "kernels/error.hpp"

namespace ptrain::statistics {

double quantile(std::span<const double> sorted, double q) {
  REQUIRE_THAT(!sorted.empty() && q >= 0 && q <= 1, "quantile ", q, " of ", sorted.size(), " values");
  const double position = q * double(sorted.size() - 1), below = std::floor(position), t = position - below;
  const double a = sorted[size_t(below)];
  if (t == 0) return a;
  const double b = sorted[size_t(below) + 1];
  return t < 0.5 ? a + (b - a) * t : b - (b - a) * (1 - t);  // exact at both ends
}

}  // namespace ptrain::statistics
