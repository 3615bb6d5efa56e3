#include <algorithm>
#include <cmath>

#include "kernels/error.hpp"
#include "train/audit_report.hpp"
#include "train/logistic.hpp"
#include "train/metrics/ranking.hpp"
#include "train/statistics/chi_square.hpp"

namespace ptrain {
namespace {

constexpr size_t kD = kTrivialFeatures.size();
constexpr int kFolds = 5;

uint64_t name_hash(const std::string& name) {  // FNV-1a
  uint64_t hash = 0xcbf29ce484222325u;
  for (const unsigned char c : name) hash = (hash ^ c) * 0x100000001b3u;
  return hash;
}

// Patients of a class go round the folds, in an order that depends on their names alone.
std::map<std::string, int> folds_of(std::span<const int32_t> labels, std::span<const std::string> patients) {
  std::map<std::string, int32_t> label;
  for (size_t i = 0; i < labels.size(); ++i) label.emplace(patients[i], labels[i]);
  std::vector<std::tuple<int32_t, uint64_t, std::string>> order;
  for (const auto& [name, l] : label) order.emplace_back(l, name_hash(name), name);
  std::sort(order.begin(), order.end());
  std::map<std::string, int> fold;
  for (size_t i = 0; i < order.size(); ++i) fold[std::get<2>(order[i])] = int(i % kFolds);
  return fold;
}

// Scores of every image by a regression that saw none of its patient; empty when a fold leaves a single class.
std::vector<double> cross_validated(std::span<const double> features, const std::vector<int32_t>& labels,
                                    std::span<const std::string> patients, const std::map<std::string, int>& fold) {
  std::vector<double> scores(labels.size());
  for (int f = 0; f < kFolds; ++f) {
    std::vector<double> x;
    std::vector<int32_t> y;
    for (size_t i = 0; i < labels.size(); ++i) {
      if (fold.at(patients[i]) == f) continue;
      x.insert(x.end(), features.begin() + long(i * kD), features.begin() + long((i + 1) * kD));
      y.push_back(labels[i]);
    }
    const auto positives = std::count(y.begin(), y.end(), 1);
    if (positives == 0 || size_t(positives) == y.size()) return {};
    const LogisticModel m = fit_logistic(x, y, kD);
    for (size_t i = 0; i < labels.size(); ++i)
      if (fold.at(patients[i]) == f) scores[i] = m.logit(features.subspan(i * kD, kD));
  }
  return scores;
}

}  // namespace

Shortcut shortcut_baseline(std::span<const double> features, std::span<const int32_t> labels, std::span<const std::string> patients,
                           int classes, int positive) {
  REQUIRE_THAT(features.size() == labels.size() * kD && patients.size() == labels.size(), "shortcut_baseline: ", features.size(),
               " features of ", labels.size(), " images");
  Shortcut s;
  const std::map<std::string, int> fold = folds_of(labels, patients);
  double sum = 0;
  int defined = 0;
  for (int c = classes == 2 ? positive : 0; c < (classes == 2 ? positive + 1 : classes); ++c) {
    std::vector<int32_t> y(labels.size());
    std::transform(labels.begin(), labels.end(), y.begin(), [&](int32_t l) { return int32_t(l == c); });
    const std::vector<double> scores = cross_validated(features, y, patients, fold);
    if (scores.empty()) continue;
    sum += metrics::roc_auc(y, scores), ++defined;
    if (classes != 2) continue;
    s.auc = metrics::delong(y, scores);
    const LogisticModel all = fit_logistic(features, y, kD);
    std::copy(all.weights.begin(), all.weights.end(), s.weights.begin());
  }
  if (defined == 0) return s;
  if (classes != 2) s.auc.auc = sum / defined;
  s.n = int64_t(labels.size()), s.folds = kFolds;
  return s;
}

PriorDifference prior_difference(Part part, std::span<const int64_t> counts, std::span<const int64_t> training) {
  double n = 0, m = 0, chi = 0;
  for (size_t c = 0; c < counts.size(); ++c) n += double(counts[c]), m += double(training[c]);
  int classes = 0;
  for (size_t c = 0; c < counts.size(); ++c) {
    const double both = double(counts[c] + training[c]);
    if (both == 0) continue;
    ++classes;
    const double e = both * n / (n + m), f = both * m / (n + m);
    chi += (double(counts[c]) - e) * (double(counts[c]) - e) / e + (double(training[c]) - f) * (double(training[c]) - f) / f;
  }
  return {part, chi, classes > 1 && n > 0 && m > 0 ? statistics::chi_square_survival(chi, classes - 1) : 1};
}

}  // namespace ptrain
