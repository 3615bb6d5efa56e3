#include "train/metrics/delong.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "train/metrics/check.hpp"
#include "train/metrics/ranking.hpp"
#include "train/statistics/normal.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::metrics {
namespace {

using statistics::Sum;

// For each positive the share of negatives below it, for each negative the share of positives above it. Both have the AUC as mean.
struct Placements {
  std::vector<double> of_positives, of_negatives;
};

Placements placements(std::span<const int32_t> labels, std::span<const double> scores) {
  std::vector<double> positives, negatives;
  for (size_t i = 0; i < labels.size(); ++i) (labels[i] ? positives : negatives).push_back(scores[i]);
  const std::vector<double> all = midranks(scores), among_positives = midranks(positives), among_negatives = midranks(negatives);
  Placements v;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i]) v.of_positives.push_back((all[i] - among_positives[v.of_positives.size()]) / double(negatives.size()));
    else v.of_negatives.push_back(1 - (all[i] - among_negatives[v.of_negatives.size()]) / double(positives.size()));
  return v;
}

double mean(std::span<const double> x) {
  Sum total;
  for (double v : x) total.add(v);
  return total.value() / double(x.size());
}

// Of the means of x and y: their covariance over n. NaN for fewer than two.
double covariance_of_means(std::span<const double> x, std::span<const double> y) {
  if (x.size() < 2) return kUndefined;
  const double mx = mean(x), my = mean(y), n = double(x.size());
  Sum total;
  for (size_t i = 0; i < x.size(); ++i) total.add((x[i] - mx) * (y[i] - my));
  return total.value() / (n - 1) / n;
}

double covariance(const Placements& a, const Placements& b) {
  return covariance_of_means(a.of_positives, b.of_positives) + covariance_of_means(a.of_negatives, b.of_negatives);
}

bool one_class(std::span<const int32_t> labels) { return std::ranges::count(labels, labels[0]) == std::ptrdiff_t(labels.size()); }

}  // namespace

DelongAuc delong(std::span<const int32_t> labels, std::span<const double> scores, double confidence) {
  check_binary("delong", labels, scores);
  const double z = statistics::normal_width(confidence);
  DelongAuc r;
  if (one_class(labels)) return r;
  const Placements v = placements(labels, scores);
  r.auc = roc_auc(labels, scores);
  r.variance = covariance(v, v);
  r.se = std::sqrt(r.variance);
  if (std::isnan(r.variance)) return r;
  r.wald = {std::max(0.0, r.auc - z * r.se), std::min(1.0, r.auc + z * r.se)};
  if (r.auc > 0 && r.auc < 1 && r.se > 0) {
    const double t = std::log(r.auc / (1 - r.auc)), d = z * r.se / (r.auc * (1 - r.auc));
    r.logit = {1 / (1 + std::exp(d - t)), 1 / (1 + std::exp(-t - d))};
  }
  return r;
}

DelongPaired delong_paired(std::span<const int32_t> labels, std::span<const double> first, std::span<const double> second, double confidence) {
  check_binary("delong_paired", labels, first);
  check_binary("delong_paired", labels, second);
  const double width = statistics::normal_width(confidence);
  DelongPaired r;
  if (one_class(labels)) return r;
  const Placements a = placements(labels, first), b = placements(labels, second);
  r.difference = roc_auc(labels, first) - roc_auc(labels, second);
  r.covariance = covariance(a, b);
  if (std::isnan(r.covariance)) return r;
  // The placements of the difference, and not var + var − 2·cov: equal rankings give exactly 0.
  Placements d = a;
  for (size_t i = 0; i < d.of_positives.size(); ++i) d.of_positives[i] -= b.of_positives[i];
  for (size_t i = 0; i < d.of_negatives.size(); ++i) d.of_negatives[i] -= b.of_negatives[i];
  r.variance = covariance(d, d);
  const double se = std::sqrt(r.variance);
  r.ci = {r.difference - width * se, r.difference + width * se};
  if (r.variance > 0) {
    r.z = r.difference / se;
    r.p = statistics::normal_two_sided_p(r.z);
  } else if (r.difference == 0) {
    r.z = 0;
    r.p = 1;
  }
  return r;
}

}  // namespace ptrain::metrics
