// How often intervals hold the truth, and how often tests reject what is true, in simulations with a fixed seed. A coverage out of N
// simulations has a standard error of sqrt(0.95·0.05/N); bounds leave four of them beside the stated distance from the nominal level.
#include <algorithm>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "tests/train/simulations.hpp"
#include "train/metrics/bootstrap.hpp"
#include "train/metrics/calibration_error.hpp"
#include "train/metrics/confusion.hpp"
#include "train/metrics/delong.hpp"
#include "train/metrics/evaluation.hpp"
#include "train/metrics/interval.hpp"
#include "train/metrics/paired.hpp"
#include "train/metrics/ranking.hpp"
#include "train/statistics/binomial.hpp"
#include "train/statistics/normal.hpp"
#include "train/statistics/random.hpp"

namespace ptrain::metrics {
namespace {

using namespace test;
using statistics::RandomStream;

}  // namespace

TEST_CASE("Wilson covers a proportion") {
  constexpr int kSimulations = 20000;
  for (const auto& [p, n] : {std::pair(0.5, 40), {0.9, 60}, {0.97, 300}, {0.2, 624}}) {
    CAPTURE(p);
    int covered = 0;
    for (uint32_t s = 0; s < kSimulations; ++s) {
      RandomStream r(1, Purpose::test, 40, s);
      int successes = 0;
      for (int i = 0; i < n; ++i) successes += r.unit() < p;
      covered += wilson(successes, n).contains(p);
    }
    // The exact coverage of a discrete distribution waves about the level: Σ pmf(k)·[interval of k holds p].
    double exact = 0;
    for (int k = 0; k <= n; ++k) exact += statistics::binomial_pmf(k, n, p) * wilson(k, n).contains(p);
    CHECK(test::close(covered / double(kSimulations), exact, four_errors(0.95, kSimulations), 0));
    CHECK(test::close(exact, 0.95, 0.025, 0));
  }
}

TEST_CASE("Wilson covers 0.95 in the mean over proportions and never far less") {  // exact, no simulation
  for (int n : {16, 100, 624}) {
    CAPTURE(n);
    double mean = 0, least = 1;
    for (int i = 1; i < 500; ++i) {
      const double p = i / 500.0;
      double exact = 0;
      for (int k = 0; k <= n; ++k) exact += statistics::binomial_pmf(k, n, p) * wilson(k, n).contains(p);
      mean += exact / 499, least = std::min(least, exact);
    }
    CHECK(test::close(mean, 0.952, 0.004, 0));
    CHECK(least > 0.83);  // Agresti and Coull 1998: about 0.83 next to p = 0 and 1
  }
}

TEST_CASE("DeLong covers an AUC and the logit interval more so near 1") {
  constexpr int kSimulations = 4000;
  struct Row {
    int positives, negatives;
    double auc, wald, logit;  // expected coverage: 40,000 simulations with another seed
  };
  for (const Row& row : {Row{100, 100, 0.8, 0.945, 0.952}, Row{60, 100, 0.95, 0.915, 0.947}}) {
    CAPTURE(row.auc);
    int wald = 0, logit = 0;
    for (uint32_t s = 0; s < kSimulations; ++s) {
      RandomStream r(2, Purpose::test, 41, s);
      Sample x;
      for (int i = 0; i < row.positives + row.negatives; ++i) {
        x.labels.push_back(i < row.positives);
        x.scores.push_back(normal(r) + (i < row.positives ? separation(row.auc) : 0));
      }
      const DelongAuc d = delong(x.labels, x.scores);
      wald += d.wald.contains(row.auc), logit += d.logit.contains(row.auc);
    }
    CHECK(test::close(wald / double(kSimulations), row.wald, four_errors(0.95, kSimulations), 0));
    CHECK(test::close(logit / double(kSimulations), row.logit, four_errors(0.95, kSimulations), 0));
  }
}

TEST_CASE("paired tests reject equal models as often as they say") {
  constexpr int kSimulations = 4000;
  int by_delong = 0, by_exact = 0, by_mid_p = 0;
  for (uint32_t s = 0; s < kSimulations; ++s) {
    RandomStream r(3, Purpose::test, 42, s);
    std::vector<int32_t> labels;
    std::vector<double> first, second;
    std::vector<bool> first_right, second_right;
    for (int i = 0; i < 200; ++i) {
      const bool positive = i % 2;
      const double shared = normal(r) + (positive ? 1.2 : 0);
      labels.push_back(positive);
      first.push_back(shared + 0.8 * normal(r)), second.push_back(shared + 0.8 * normal(r));
      first_right.push_back((first.back() > 0.6) == positive), second_right.push_back((second.back() > 0.6) == positive);
    }
    by_delong += delong_paired(labels, first, second).p < 0.05;
    const Mcnemar m = mcnemar(first_right, second_right);
    by_exact += m.exact_p < 0.05, by_mid_p += m.mid_p < 0.05;
  }
  const double error = four_errors(0.05, kSimulations);
  CHECK(test::close(by_delong / double(kSimulations), 0.05, error, 0));
  CHECK(test::close(by_mid_p / double(kSimulations), 0.05, 0.005 + error, 0));
  CHECK(by_exact / double(kSimulations) < 0.05 + error);  // exact means at most; 0.040 here
  CHECK(by_exact < by_mid_p);
}

TEST_CASE("the bootstrap by patient covers where intervals by image do not") {
  constexpr int kSimulations = 400, kPatients = 100;
  const double auc = 0.85, shift = separation(auc), accuracy = statistics::normal_cdf(shift / 2);
  int boot_accuracy = 0, boot_auc = 0, image_accuracy = 0, image_auc = 0;
  for (uint32_t s = 0; s < kSimulations; ++s) {  // 1 to 5 images a patient, correlated by 0.7
    RandomStream r(4, Purpose::test, 43, s);
    Sample x;
    Groups groups;
    for (uint32_t p = 0; p < kPatients; ++p) {
      groups.names.push_back(std::to_string(p));
      const double own = normal(r);
      for (uint64_t i = 1 + r.below(5); i > 0; --i) {
        x.labels.push_back(p % 2);
        x.scores.push_back((p % 2 ? shift : 0) + std::sqrt(0.7) * own + std::sqrt(0.3) * normal(r));
        groups.of_image.push_back(p);
      }
    }
    const Ranking ranking(x.labels, x.scores);
    const auto results = bootstrap(groups, 2,
                                   [&](std::span<const uint32_t> times, std::span<double> values) {
                                     double right = 0, n = 0;
                                     for (size_t i = 0; i < times.size(); ++i)
                                       n += times[i], right += times[i] * ((x.scores[i] >= shift / 2) == (x.labels[i] == 1));
                                     values[0] = right / n, values[1] = ranking.roc_auc(times);
                                   },
                                   {.replicates = 300, .seed = s});
    boot_accuracy += results[0].percentile.contains(accuracy), boot_auc += results[1].percentile.contains(auc);
    const Confusion c = confusion_at(x.labels, x.scores, shift / 2);
    image_accuracy += wilson(c.tp + c.tn, c.n()).contains(accuracy), image_auc += delong(x.labels, x.scores).wald.contains(auc);
  }
  const double error = four_errors(0.95, kSimulations);
  for (int covered : {boot_accuracy, boot_auc}) {  // a percentile interval of 100 patients lacks about 1 in 100
    CHECK(covered / double(kSimulations) > 0.935 - error);
    CHECK(covered / double(kSimulations) < 0.955 + error);
  }
  CHECK(image_accuracy / double(kSimulations) < 0.88);  // 0.81 and 0.76: what ignoring the patient costs
  CHECK(image_auc / double(kSimulations) < 0.85);
}

TEST_CASE("calibrated scores stay below their chance error in 97.5 of 100 cases") {
  constexpr int kSimulations = 400, kImages = 200;
  int below = 0, below_clustered = 0;
  for (uint32_t s = 0; s < kSimulations; ++s) {
    RandomStream r(5, Purpose::test, 44, s);
    std::vector<double> scores;
    Groups pairs;
    for (uint32_t i = 0; i < kImages; ++i) {
      scores.push_back(i % 2 ? scores.back() : 1 / (1 + std::exp(-2 * normal(r))));
      pairs.of_image.push_back(i / 2);
    }
    pairs.names.resize(kImages / 2);
    CalibrationError alone, shared;  // shared: both images of a patient have the same luck
    double luck = 0;
    for (size_t i = 0; i < kImages; ++i) {
      alone.add(scores[i], r.unit() < scores[i], 1);
      if (i % 2 == 0) luck = r.unit();
      shared.add(scores[i], luck < scores[i], 1);
    }
    below += alone.value() <= chance_calibration_error(scores, each_alone(kImages), 0.975, 200, s);
    below_clustered += shared.value() <= chance_calibration_error(scores, pairs, 0.975, 200, s);
  }
  for (int count : {below, below_clustered})
    CHECK(test::close(count / double(kSimulations), 0.975, 0.005 + four_errors(0.975, kSimulations), 0));
}

}  // namespace ptrain::metrics
