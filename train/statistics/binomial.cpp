#include "train/statistics/binomial.hpp"

#include <array>
#include <cmath>
#include <numbers>

#include "kernels/error.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::statistics {
namespace {

// log n! − log(√(2πn)·(n/e)ⁿ): what Stirling's formula misses.
double stirling_error(int64_t n) {
  static constexpr std::array<double, 16> kSmall{0,
                                                 0.08106146679532725822,
                                                 0.041340695955409294094,
                                                 0.027677925684998339149,
                                                 0.020790672103765093112,
                                                 0.016644691189821192163,
                                                 0.013876128823070747999,
                                                 0.011896709945891770095,
                                                 0.010411265261972096497,
                                                 0.0092554621827127329177,
                                                 0.0083305634333628712565,
                                                 0.007573675487951840795,
                                                 0.0069428401072095298657,
                                                 0.0064089941880042070684,
                                                 0.0059513701127588477356,
                                                 0.005554733551962801371};
  if (n < int64_t(kSmall.size())) return kSmall[size_t(n)];
  const double m = double(n), s = 1 / (m * m);
  return (1.0 / 12 - s * (1.0 / 360 - s * (1.0 / 1260 - s * (1.0 / 1680 - s / 1188)))) / m;
}

// x·log(x/m) + m − x. Its parts cancel unless x and m differ by a factor of 3: up to there by its series in v = (x − m)/(x + m).
double deviance(double x, double m) {
  if (std::fabs(x - m) >= 0.5 * (x + m)) return x * std::log(x / m) + m - x;
  const double v = (x - m) / (x + m);
  double term = 2 * x * v, total = (x - m) * v;
  for (int j = 3;; j += 2) {
    term *= v * v;
    const double next = total + term / j;
    if (next == total) return total;
    total = next;
  }
}

// The sum of the tail from k outwards (step −1: down to 0; step +1: up to n), by the ratio of neighbouring terms.
double tail(int64_t k, int64_t n, double p, int step) {
  const double odds = p / (1 - p);
  double term = binomial_pmf(k, n, p);
  Sum total;
  while (k >= 0 && k <= n && term > 0) {
    total.add(term);
    if (term < total.value() * 1e-18) break;
    term *= step < 0 ? double(k) / double(n - k + 1) / odds : double(n - k) / double(k + 1) * odds;
    k += step;
  }
  return total.value();
}

}  // namespace

double binomial_pmf(int64_t k, int64_t n, double p) {
  REQUIRE_THAT(n >= 0 && p >= 0 && p <= 1, "no binomial distribution has n = ", n, " and p = ", p);
  if (k < 0 || k > n) return 0;
  if (p == 0 || p == 1) return k == (p == 0 ? 0 : n) ? 1 : 0;
  const double m = double(n), q = 1 - p;
  if (k == 0) return std::exp(m * std::log1p(-p));
  if (k == n) return std::exp(m * std::log(p));
  const double x = double(k), y = double(n - k);
  const double exponent = stirling_error(n) - stirling_error(k) - stirling_error(n - k) - deviance(x, m * p) - deviance(y, m * q);
  return std::exp(exponent) * std::sqrt(m / (2 * std::numbers::pi * x * y));
}

double binomial_cdf(int64_t k, int64_t n, double p) {
  REQUIRE_THAT(n >= 0 && p >= 0 && p <= 1, "no binomial distribution has n = ", n, " and p = ", p);
  if (k < 0) return 0;
  if (k >= n || p == 0) return 1;
  if (p == 1) return 0;
  if (double(k) < double(n) * p) return tail(k, n, p, -1);
  return 1 - tail(k + 1, n, p, +1);
}

}  // namespace ptrain::statistics
