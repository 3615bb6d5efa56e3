#include "train/metrics/ranking.hpp"

#include <algorithm>
#include <numeric>

#include "train/metrics/check.hpp"
#include "train/metrics/interval.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::metrics {

std::vector<uint32_t> descending(std::span<const double> scores) {
  std::vector<uint32_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0u);
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return scores[a] > scores[b]; });
  return order;
}

std::vector<double> midranks(std::span<const double> scores) {
  check_finite("midranks", scores);
  const std::vector<uint32_t> order = descending(scores);
  const size_t n = order.size();
  std::vector<double> ranks(n);
  for (size_t first = 0, last; first < n; first = last) {
    for (last = first; last < n && scores[order[last]] == scores[order[first]];) ++last;
    const double rank = double(n) - 0.5 * double(first + last - 1);  // places first … last − 1 from the top
    for (size_t i = first; i < last; ++i) ranks[order[i]] = rank;
  }
  return ranks;
}

Ranking::Ranking(std::span<const int32_t> labels, std::span<const double> scores) {
  check_binary("ranking", labels, scores);
  const std::vector<uint32_t> order = descending(scores);
  places_.reserve(order.size());
  for (size_t i = 0; i < order.size(); ++i)
    places_.push_back({order[i], labels[order[i]] == 1, i + 1 == order.size() || scores[order[i + 1]] != scores[order[i]]});
}

// Counted in whole numbers (twice U), so the result is rounded once.
double Ranking::roc_auc(std::span<const uint32_t> times) const {
  int64_t positives = 0, negatives = 0, twice_u = 0;
  int64_t tie_positives = 0, tie_negatives = 0;  // of the scores equal to this one
  for (const Place& p : places_) {
    (p.positive ? tie_positives : tie_negatives) += times[p.image];
    if (!p.last_of_tie) continue;
    twice_u += tie_negatives * (2 * positives + tie_positives);
    positives += tie_positives, negatives += tie_negatives;
    tie_positives = tie_negatives = 0;
  }
  return positives == 0 || negatives == 0 ? kUndefined : double(twice_u) / (2.0 * double(positives) * double(negatives));
}

double Ranking::average_precision(std::span<const uint32_t> times) const {
  int64_t positives = 0, called = 0, tie_positives = 0;
  statistics::Sum area;
  for (const Place& p : places_) {
    called += times[p.image];
    if (p.positive) tie_positives += times[p.image];
    if (!p.last_of_tie) continue;
    positives += tie_positives;
    if (tie_positives > 0) area.add(double(tie_positives) * (double(positives) / double(called)));
    tie_positives = 0;
  }
  return positives == 0 ? kUndefined : area.value() / double(positives);
}

double roc_auc(std::span<const int32_t> labels, std::span<const double> scores) {
  return Ranking(labels, scores).roc_auc(std::vector<uint32_t>(labels.size(), 1));
}

double average_precision(std::span<const int32_t> labels, std::span<const double> scores) {
  return Ranking(labels, scores).average_precision(std::vector<uint32_t>(labels.size(), 1));
}

}  // namespace ptrain::metrics
