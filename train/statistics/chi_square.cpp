#include "train/statistics/chi_square.hpp"

#include <cmath>
#include <numbers>

#include "kernels/error.hpp"
#include "train/statistics/normal.hpp"

namespace ptrain::statistics {

// With h = x/2 and one integration by parts after the other: each takes two degrees away and leaves h^a·e^(−h)/Γ(a + 1).
double chi_square_survival(double x, int degrees) {
  REQUIRE_THAT(degrees >= 1, "a chi-square distribution with ", degrees, " degrees of freedom");
  if (std::isnan(x)) return x;
  if (x <= 0) return 1;
  const double h = x / 2;
  const bool odd = degrees % 2 == 1;
  double total = odd ? normal_two_sided_p(std::sqrt(x)) : std::exp(-h);
  double term = odd ? std::exp(-h) * std::sqrt(h) * 2 * std::numbers::inv_sqrtpi : std::exp(-h) * h;
  for (double a = odd ? 0.5 : 1.0; a < degrees / 2.0; ++a) {
    total += term;
    term *= h / (a + 1);
  }
  return total;
}

}  // namespace ptrain::statistics
