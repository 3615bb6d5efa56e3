#include "train/metrics/interval.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/error.hpp"
#include "train/statistics/normal.hpp"

namespace ptrain::metrics {

Interval wilson(int64_t successes, int64_t n, double confidence) {
  REQUIRE_THAT(successes >= 0 && successes <= n, "wilson: ", successes, " successes in ", n, " trials");
  const double z = statistics::normal_width(confidence);
  if (n == 0) return {};
  const double m = double(n), p = double(successes) / m, z2 = z * z;
  const double center = (p + z2 / (2 * m)) / (1 + z2 / m);
  const double half = z * std::sqrt(p * (1 - p) / m + z2 / (4 * m * m)) / (1 + z2 / m);
  return {successes == 0 ? 0 : std::max(0.0, center - half), successes == n ? 1 : std::min(1.0, center + half)};
}

}  // namespace ptrain::metrics
