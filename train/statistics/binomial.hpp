// defines: the binomial distribution: binomial_pmf(), binomial_cdf()
#pragma once

#include <cstdint>

namespace ptrain::statistics {

// P(X = k) for X ~ Binomial(n, p), k and n whole, 0 ≤ p ≤ 1; 0 outside 0…n. Loader, "Fast and accurate computation of binomial
// probabilities" (2000): no difference of large logarithms, so the relative error is about 1e-14 for any n.
double binomial_pmf(int64_t k, int64_t n, double p);

// P(X ≤ k). Sums the tail that is shorter in probability, from its largest term outwards, so that small tails keep their digits.
double binomial_cdf(int64_t k, int64_t n, double p);

}  // namespace ptrain::statistics
