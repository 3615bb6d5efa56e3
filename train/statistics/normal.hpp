// defines: the standard normal distribution: normal_cdf(), normal_quantile(), normal_two_sided_p()
#pragma once

namespace ptrain::statistics {

// P(Z ≤ x) = erfc(−x/√2) / 2. Relative error about 1e-15, in the far tail too, until the value leaves the normal doubles (x < −37.5).
double normal_cdf(double x);

// The x with P(Z ≤ x) = p. Wichura, algorithm AS 241, Applied Statistics 37 (1988); relative error about 1e-15.
// ±infinity at p = 1 and p = 0; NaN outside [0, 1].
double normal_quantile(double p);

// P(|Z| ≥ |z|) = erfc(|z|/√2): the p value of a two-sided test.
double normal_two_sided_p(double z);

// The half width of a two-sided interval in standard errors: 1.959963984540054 for confidence 0.95. The confidence lies in (0, 1).
double normal_width(double confidence);

}  // namespace ptrain::statistics
