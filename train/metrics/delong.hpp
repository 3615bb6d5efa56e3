// defines: DeLong's variance of the AUC: its intervals, and the paired test of two models on the same images
#pragma once

#include <cstdint>
#include <span>

#include "train/metrics/interval.hpp"

namespace ptrain::metrics {

// DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), computed from midranks (Sun and Xu, IEEE SPL 21, 2014), O(n log n):
//   V10_i = (rank among all − rank among positives) / n_neg for each positive, V01_j = 1 − (rank among all − rank among negatives) / n_pos
//   for each negative; variance = var(V10)/n_pos + var(V01)/n_neg, with n − 1 divisors.
// Images are taken to be independent: for several images a patient see bootstrap().
struct DelongAuc {
  double auc = kUndefined;                        // NaN when a class is absent
  double variance = kUndefined, se = kUndefined;  // NaN when a class has fewer than two images
  Interval wald;   // auc ± z·se, cut to [0, 1]: what pROC reports. Without width when the classes do not overlap, which proves nothing
  Interval logit;  // the same on the scale log(auc/(1 − auc)), never leaves (0, 1), better near 1. NaN when auc is 0 or 1 or se is 0
};
DelongAuc delong(std::span<const int32_t> labels, std::span<const double> scores, double confidence = 0.95);

// The two AUCs of one set of images: z = difference / √(variance of the difference), p two-sided.
struct DelongPaired {
  double difference = kUndefined;                         // first − second
  double covariance = kUndefined, variance = kUndefined;  // of the two AUCs; of the difference
  double z = kUndefined;
  double p = kUndefined;  // 1 when the two rank alike everywhere; NaN when the variance is 0 and the difference is not, or unknown
  Interval ci;            // of the difference
};
DelongPaired delong_paired(std::span<const int32_t> labels, std::span<const double> first, std::span<const double> second,
                           double confidence = 0.95);

}  // namespace ptrain::metrics
