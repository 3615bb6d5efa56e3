// Coverage by simulation, continued (coverage.cpp): paired differences, the metrics that only the bootstrap gives intervals, and the test
// of a prior shift.
#include <map>

#include "tests/support/support.hpp"
#include "tests/train/simulations.hpp"
#include "train/metrics/binary_statistics.hpp"
#include "train/metrics/bootstrap.hpp"
#include "train/metrics/delong.hpp"
#include "train/prior_shift.hpp"
#include "train/report/bands.hpp"
#include "train/statistics/normal.hpp"
#include "train/statistics/random.hpp"

namespace ptrain::metrics {
namespace {

using namespace test;
using statistics::RandomStream;

// A calibrated model, a little too sure of itself: labels are drawn from the scores before they are sharpened.
Sample drawn(uint32_t stream, uint32_t s, size_t n) {
  RandomStream r(6, Purpose::test, stream, s);
  Sample x;
  for (size_t i = 0; i < n; ++i) {
    const double z = 0.4 + 1.8 * normal(r);
    x.labels.push_back(r.unit() < 1 / (1 + std::exp(-z)));
    x.scores.push_back(1 / (1 + std::exp(-1.3 * z)));
  }
  return x;
}

}  // namespace

TEST_CASE("DeLong covers the difference of two AUCs that differ") {
  constexpr int kSimulations = 4000;
  const double better = 0.88, worse = 0.82, shared = std::sqrt(0.6), own = std::sqrt(0.4);
  int covered = 0, told_apart = 0;
  for (uint32_t s = 0; s < kSimulations; ++s) {
    RandomStream r(6, Purpose::test, 50, s);
    std::vector<int32_t> labels;
    std::vector<double> first, second;
    for (int i = 0; i < 240; ++i) {
      const int32_t label = i % 3 == 0 ? 0 : 1;
      const double image = normal(r);
      labels.push_back(label);
      first.push_back(label * separation(better) + shared * image + own * normal(r));
      second.push_back(label * separation(worse) + shared * image + own * normal(r));
    }
    const DelongPaired d = delong_paired(labels, first, second);
    covered += d.ci.contains(better - worse);
    told_apart += d.p < 0.05;
    CHECK(d.ci.contains(0) == (d.p > 0.05));
  }
  CHECK(test::close(covered / double(kSimulations), 0.95, 0.01 + four_errors(0.95, kSimulations), 0));
  CHECK(told_apart > kSimulations / 2);
}

TEST_CASE("bootstrap intervals of the other metrics cover them") {
  constexpr int kSimulations = 400;
  constexpr size_t kImages = 240, kLarge = 400000, kMetrics = BinaryStatistics::kNames.size();
  std::vector<double> truth(kMetrics);
  {
    const Sample all = drawn(51, 0, kLarge);
    BinaryStatistics(all.labels, all.scores, 0.5)(std::vector<uint32_t>(kLarge, 1), truth);
  }
  std::vector<int> covered(kMetrics);
  for (uint32_t s = 0; s < kSimulations; ++s) {
    const Sample x = drawn(52, s, kImages);
    const BinaryStatistics compute(x.labels, x.scores, 0.5);
    const auto results =
        bootstrap(each_alone(kImages), kMetrics, [&](auto times, auto to) { compute(times, to); }, {.replicates = 300, .seed = s});
    for (size_t m = 0; m < kMetrics; ++m) covered[m] += results[m].percentile.contains(truth[m]);
  }
  for (size_t m = 0; m < kMetrics; ++m) {
    const std::string name(BinaryStatistics::kNames[m]);
    if (name.starts_with("ece")) continue;  // biased by resampling: they have the basic interval (evaluation.hpp)
    CAPTURE(name);
    CAPTURE(truth[m]);
    CHECK(covered[m] / double(kSimulations) > 0.935 - four_errors(0.95, kSimulations));
    CHECK(covered[m] / double(kSimulations) < 0.955 + four_errors(0.95, kSimulations));
  }
}

TEST_CASE("the bands of ROC and precision-recall cover the curves at each place") {
  constexpr int kSimulations = 240, kReplicates = 200, kImages = 240;
  const double shift = separation(0.88), positives = 0.6;
  const std::vector<int> places{10, 20, 50, 80};  // hundredths
  std::map<int, int> roc, precision;
  for (uint32_t s = 0; s < kSimulations; ++s) {
    RandomStream r(6, Purpose::test, 54, s);
    Sample x;
    for (int i = 0; i < kImages; ++i) {
      x.labels.push_back(i < positives * kImages);
      x.scores.push_back(normal(r) + shift * x.labels.back());
    }
    const report::Band a = report::roc_band(x.labels, x.scores, {}, kReplicates, s),
                       b = report::precision_recall_band(x.labels, x.scores, {}, kReplicates, s);
    for (const int place : places) {
      const double at = place / 100.0;
      const double sensitivity = statistics::normal_cdf(shift + statistics::normal_quantile(at));      // at this share of false positives
      const double false_positives = statistics::normal_cdf(statistics::normal_quantile(at) - shift);  // at this recall
      const double ppv = positives * at / (positives * at + (1 - positives) * false_positives);
      roc[place] += a.low[size_t(place)] <= sensitivity && sensitivity <= a.high[size_t(place)];
      precision[place] += b.low[size_t(place)] <= ppv && ppv <= b.high[size_t(place)];
    }
  }
  for (const int place : places) {
    CAPTURE(place);
    for (const int covered :
         {roc[place], precision[place]}) {  // at 0.1 and 0.8 the bootstrap alone covers 0.30 and 0.82: there curves are at 1
      CHECK(covered / double(kSimulations) > 0.935 - four_errors(0.95, kSimulations));
      CHECK(covered / double(kSimulations) <= 1);
    }
  }
}

TEST_CASE("a prior shift that is none is found in 5 of 100 simulations and a real one in most") {
  constexpr int kSimulations = 1000, kImages = 200;
  int found = 0, real = 0;
  for (uint32_t s = 0; s < kSimulations; ++s)
    for (const double positive : {0.5, 0.65}) {
      RandomStream r(6, Purpose::test, 53, s);
      std::vector<double> p;
      for (int i = 0; i < kImages; ++i) {  // two normal distributions 2 apart: the probability of the upper one at equal shares
        const double z = normal(r) + (r.unit() < positive ? 1 : -1);
        p.push_back(1 / (1 + std::exp(2 * z))), p.push_back(1 / (1 + std::exp(-2 * z)));
      }
      (positive == 0.5 ? found : real) += fit_prior_shift(p, std::vector<double>{0.5, 0.5}).p < 0.05;
    }
  CHECK(test::close(found / double(kSimulations), 0.05, 0.005 + four_errors(0.05, kSimulations), 0));
  CHECK(real > 8 * kSimulations / 10);
}

}  // namespace ptrain::metrics
