// defines: the paired test of two models' decisions (McNemar), and the correction for several tests (Holm)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ptrain::metrics {

// McNemar, Psychometrika 12 (1947), on the images where exactly one of two models is right. Exact: 2·P(X ≤ min(b, c)) with
// X ~ Binomial(b + c, ½), at most 1. Mid-p (Fagerland, Lydersen and Laake, BMC Med. Res. Meth. 13, 2013): less P(X = min), and
// 1 − P(X = b)/2 when b = c; closer to its level, rarely above it. Both are 1 when b + c = 0.
struct Mcnemar {
  int64_t first_only = 0, second_only = 0;  // b: the first is right and the second wrong; c: the other way round
  double exact_p = 1, mid_p = 1;
};
Mcnemar mcnemar(int64_t first_only, int64_t second_only);
// From the decisions: element i says whether the model is right on image i.
Mcnemar mcnemar(const std::vector<bool>& first_right, const std::vector<bool>& second_right);

// Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979): adjusted p values in the order given;
// rejecting those ≤ α keeps the chance of any false rejection ≤ α. An undefined p (NaN) stays NaN and does not count as a test.
std::vector<double> holm(std::span<const double> p);

}  // namespace ptrain::metrics
