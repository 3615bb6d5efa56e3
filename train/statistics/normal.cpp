#include "train/statistics/normal.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <numbers>

#include "kernels/error.hpp"

namespace ptrain::statistics {
namespace {

// erfc(x/√2). The rounding of x/√2 alone costs x²·1e-16 in the tail, so its error (by fma, with √2 = root + rest) is put back:
// erfc(t + d) ≈ erfc(t) − d·2/√π·e^(−t²).
double erfc_of_root(double x) {
  constexpr double root = std::numbers::sqrt2, rest = -9.667293313452913e-17;
  const double t = x / root;
  const double d = (std::fma(-t, root, x) - t * rest) / root;
  const double slope = 2 * std::numbers::inv_sqrtpi * std::exp(-t * t);
  return std::erfc(t) - d * slope;
}

using Coefficients = std::array<double, 8>;  // from the highest power down

double ratio(const Coefficients& above, const Coefficients& below, double r) {
  double a = 0, b = 0;
  for (size_t i = 0; i < above.size(); ++i) a = a * r + above[i], b = b * r + below[i];
  return a / b;
}

constexpr Coefficients kMiddleAbove{2.5090809287301226727e+3, 3.3430575583588128105e+4, 6.7265770927008700853e+4, 4.5921953931549871457e+4,
                                    1.3731693765509461125e+4, 1.9715909503065514427e+3, 1.3314166789178437745e+2, 3.3871328727963666080e+0};
constexpr Coefficients kMiddleBelow{5.2264952788528545610e+3, 2.8729085735721942674e+4, 3.9307895800092710610e+4, 2.1213794301586595867e+4,
                                    5.3941960214247511077e+3, 6.8718700749205790830e+2, 4.2313330701600911252e+1, 1.0};
constexpr Coefficients kTailAbove{7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e+0,
                                  3.64784832476320460504e+0, 5.76949722146069140550e+0, 4.63033784615654529590e+0, 1.42343711074968357734e+0};
constexpr Coefficients kTailBelow{1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
                                  6.89767334985100004550e-1, 1.67638483018380384940e+0, 2.05319162663775882187e+0, 1.0};
constexpr Coefficients kFarAbove{2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
                                 2.96560571828504891230e-1, 1.78482653991729133580e+0, 5.46378491116411436990e+0, 6.65790464350110377720e+0};
constexpr Coefficients kFarBelow{2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
                                 1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0};

}  // namespace

double normal_cdf(double x) {
  if (std::isinf(x)) return x > 0 ? 1.0 : 0.0;
  return erfc_of_root(-x) / 2;
}

double normal_quantile(double p) {
  if (!(p >= 0 && p <= 1)) return std::numeric_limits<double>::quiet_NaN();
  if (p == 0 || p == 1) return p == 0 ? -INFINITY : INFINITY;
  const double q = p - 0.5;
  if (std::fabs(q) <= 0.425) return q * ratio(kMiddleAbove, kMiddleBelow, 0.180625 - q * q);
  const double r = std::sqrt(-std::log(q < 0 ? p : 1 - p));
  const double x = r <= 5 ? ratio(kTailAbove, kTailBelow, r - 1.6) : ratio(kFarAbove, kFarBelow, r - 5);
  return q < 0 ? -x : x;
}

double normal_two_sided_p(double z) { return std::isinf(z) ? 0.0 : erfc_of_root(std::fabs(z)); }

double normal_width(double confidence) {
  REQUIRE_THAT(confidence > 0 && confidence < 1, "a confidence of ", confidence, " is not between 0 and 1");
  return -normal_quantile((1 - confidence) / 2);
}

}  // namespace ptrain::statistics
