#include "train/metrics/paired.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/error.hpp"
#include "train/statistics/binomial.hpp"

namespace ptrain::metrics {

Mcnemar mcnemar(int64_t first_only, int64_t second_only) {
  REQUIRE_THAT(first_only >= 0 && second_only >= 0, "mcnemar: counts ", first_only, " and ", second_only);
  Mcnemar r{first_only, second_only};
  const int64_t n = first_only + second_only, least = std::min(first_only, second_only);
  if (n == 0) return r;
  const double at = statistics::binomial_pmf(least, n, 0.5), up_to = statistics::binomial_cdf(least, n, 0.5);
  r.exact_p = std::min(1.0, 2 * up_to);
  r.mid_p = first_only == second_only ? 1 - at / 2 : 2 * up_to - at;
  return r;
}

Mcnemar mcnemar(const std::vector<bool>& first_right, const std::vector<bool>& second_right) {
  REQUIRE_THAT(first_right.size() == second_right.size(), "mcnemar: ", first_right.size(), " and ", second_right.size(), " decisions");
  int64_t b = 0, c = 0;
  for (size_t i = 0; i < first_right.size(); ++i) b += first_right[i] && !second_right[i], c += !first_right[i] && second_right[i];
  return mcnemar(b, c);
}

std::vector<double> holm(std::span<const double> p) {
  std::vector<size_t> order;
  for (size_t i = 0; i < p.size(); ++i) {
    if (std::isnan(p[i])) continue;
    REQUIRE_THAT(p[i] >= 0 && p[i] <= 1, "holm: ", p[i], " is not a p value");
    order.push_back(i);
  }
  std::ranges::sort(order, [&](size_t a, size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.begin(), p.end());
  double largest = 0;
  for (size_t rank = 0; rank < order.size(); ++rank) {
    largest = std::max(largest, double(order.size() - rank) * p[order[rank]]);
    adjusted[order[rank]] = std::min(1.0, largest);
  }
  return adjusted;
}

}  // namespace ptrain::metrics
