// defines: Interval, and Wilson's interval of a proportion
#pragma once

#include <cstdint>
#include <limits>

namespace ptrain::metrics {

inline constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();  // a metric without a value; null in JSON

struct Interval {
  double low = kUndefined, high = kUndefined;  // both NaN when there is none
  bool contains(double x) const { return low <= x && x <= high; }
  double width() const { return high - low; }
};

// Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927), without continuity correction:
// (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n) with p = successes/n. Its end is exactly 0 for no success and exactly 1 when all
// succeed. Undefined for n = 0. The trials must be independent: for several images a patient see bootstrap().
Interval wilson(int64_t successes, int64_t n, double confidence = 0.95);

}  // namespace ptrain::metrics
