// The rule that keeps or drops a fine-tuned model: both ways, at its edge, and for what is not finite.
#include "train/safety_rail.hpp"
#include "tests/support/support.hpp"
#include "train/decision.hpp"
#include "train/metrics/bootstrap.hpp"
#include "train/metrics/probability.hpp"
#include "train/metrics/ranking.hpp"
#include "train/statistics/normal.hpp"
#include "train/statistics/random.hpp"

namespace ptrain::test {
namespace {

using metrics::Predictions;

// Three images a patient; the log-odds of the classes lie `separation` standard deviations apart, times `sureness`, plus `bias`.
Predictions model(size_t n, double separation, double sureness, uint32_t stream, double bias = 0) {
  Predictions p{.classes = {"A", "B"}, .labels = {}, .probabilities = {}, .patients = {}};
  statistics::RandomStream random(11, Purpose::test, stream, 0);
  for (size_t i = 0; i < n; ++i) {
    const int32_t label = int32_t(i / 3 % 2);
    const double z = sureness * separation * (statistics::normal_quantile(random.unit()) + separation * (label - 0.5)) + bias;
    p.labels.push_back(label), p.patients.push_back("p" + std::to_string(i / 3));
    p.probabilities.push_back(1 / (1 + std::exp(z))), p.probabilities.push_back(1 / (1 + std::exp(-z)));
  }
  return p;
}

SafetyRail rail(const Predictions& before, const Predictions& after) {
  return safety_rail({before, metrics::roc_auc(before.labels, before.scores(1))}, {after, metrics::roc_auc(after.labels, after.scores(1))});
}

}  // namespace

TEST_CASE("fine-tuning is kept when AUC and log loss are better and dropped when they are worse") {
  const Predictions bad = model(300, 1, 1, 1), good = model(300, 3, 1, 2);
  const SafetyRail up = rail(bad, good), down = rail(good, bad), same = rail(good, good);
  CHECK(up.kept());
  CHECK(up.why.find("fine-tuning is kept") != std::string::npos);
  CHECK_FALSE(down.kept());
  CHECK_FALSE(down.auc_holds);
  CHECK_FALSE(down.log_loss_holds);
  CHECK(down.why.find("the model before fine-tuning is kept") != std::string::npos);
  CHECK(same.kept());  // nothing is worse
  CHECK(same.difference == 0);
  CHECK(up.patients == 100);
}

TEST_CASE("a higher AUC does not buy a log loss that is worse beyond the noise") {
  // The scores of `after` rank better, but lean to one class, which no temperature mends.
  const Predictions before = model(600, 2, 1, 3);
  const Predictions after = model(600, 2.6, 1, 4, 5);
  const SafetyRail r = rail(before, after);
  INFO(r.why);
  CHECK(r.auc_after > r.auc_before);
  CHECK(r.auc_holds);
  CHECK(r.difference > r.standard_error);
  CHECK_FALSE(r.log_loss_holds);
  CHECK_FALSE(r.kept());
  // And a better log loss does not buy a lower AUC.
  SafetyRail lower = safety_rail({after, 0.9801}, {before, 0.9800});
  CHECK(lower.log_loss_holds);
  CHECK_FALSE(lower.kept());
}

TEST_CASE("over-confidence that a temperature takes back is no reason to drop a model") {
  const Predictions calm = model(300, 2, 1, 5), sure = model(300, 2, 6, 5);  // the same ranking, six times as sure
  CHECK(metrics::log_loss(sure.labels, sure.scores(1)) > 1.5 * metrics::log_loss(calm.labels, calm.scores(1)));
  const SafetyRail r = rail(calm, sure);
  INFO(r.why);
  CHECK(close(r.log_loss_after, r.log_loss_before, 1e-8, 0));
  CHECK(close(r.log_loss_before, best_temperature(calm).nll_after, 1e-12, 0));
  CHECK(r.difference <= r.standard_error + 1e-9);
}

TEST_CASE("the rail is at exactly one standard error") {
  const Predictions before = model(300, 2, 1, 6);
  const Predictions after = model(300, 2, 1, 7);
  const SafetyRail r = safety_rail({before, 0.9}, {after, 0.9});
  CHECK(r.log_loss_holds == (r.difference <= r.standard_error));
  const SafetyRail swapped = safety_rail({after, 0.9}, {before, 0.9});
  CHECK(close(swapped.difference, -r.difference, 1e-15, 0));
  CHECK(close(swapped.standard_error, r.standard_error, 1e-15, 0));
  CHECK(swapped.log_loss_holds == (-r.difference <= r.standard_error));
}

TEST_CASE("the standard error is that of the bootstrap by patient and grows with patients that are alike") {
  Predictions before = model(900, 1.5, 1, 8), after = model(900, 1.5, 1, 9);
  for (size_t i = 0; i < before.size(); ++i)  // the three images of a patient say the same
    for (Predictions* p : {&before, &after})
      for (size_t c = 0; c < 2; ++c) p->probabilities[2 * i + c] = p->probabilities[2 * (i / 3 * 3) + c];
  const SafetyRail by_patient = rail(before, after);
  const auto losses = [](const Predictions& p) {
    const Predictions at = at_temperature(p, best_temperature(p).temperature);
    std::vector<double> l;
    for (size_t i = 0; i < p.size(); ++i) l.push_back(-std::log(at.probabilities[2 * i + size_t(p.labels[i])]));
    return l;
  };
  const std::vector<double> old = losses(before), now = losses(after);
  const metrics::BootstrapResult drawn = metrics::bootstrap(metrics::group_by(before.patients), 1,
                                                            [&](auto times, auto values) {
                                                              double sum = 0, n = 0;
                                                              for (size_t i = 0; i < times.size(); ++i)
                                                                sum += times[i] * (now[i] - old[i]), n += times[i];
                                                              values[0] = sum / n;
                                                            },
                                                            {.replicates = 4000})[0];
  CHECK(by_patient.standard_error == doctest::Approx(drawn.se).epsilon(0.05));
  before.patients.clear(), after.patients.clear();
  CHECK(by_patient.standard_error == doctest::Approx(std::sqrt(3.0) * rail(before, after).standard_error).epsilon(0.01));
}

TEST_CASE("a better model passes and an equally good one passes in most simulations") {
  int equal = 0, worse = 0;
  for (uint32_t s = 0; s < 200; ++s) {
    const Predictions a = model(240, 2, 1, 100 + 3 * s), b = model(240, 2, 1, 101 + 3 * s), c = model(240, 1.2, 1, 102 + 3 * s);
    equal += safety_rail({a, 0.9}, {b, 0.9}).log_loss_holds;
    worse += safety_rail({a, 0.9}, {c, 0.9}).log_loss_holds;
  }
  CHECK(equal >= 152);  // P(Z ≤ 1) = 0.84: 168 of 200, four standard deviations are 21
  CHECK(equal <= 189);
  CHECK(worse <= 10);
}

TEST_CASE("what is not finite keeps the model that was there") {
  const Predictions good = model(90, 3, 1, 10), bad = model(90, 1, 1, 11);
  const double nan = metrics::kUndefined, infinity = std::numeric_limits<double>::infinity();
  CHECK(safety_rail({bad, 0.7}, {good, 0.9}).kept());
  CHECK_FALSE(safety_rail({bad, 0.7}, {good, nan}).kept());
  CHECK_FALSE(safety_rail({bad, nan}, {good, 0.9}).kept());
  CHECK_FALSE(safety_rail({bad, nan}, {good, nan}).kept());
  for (const double broken : {nan, infinity, -infinity}) {
    Predictions p = good;
    p.probabilities[7] = broken;
    const SafetyRail after = safety_rail({bad, 0.7}, {p, 0.9}), before = safety_rail({p, 0.7}, {good, 0.9});
    CHECK_FALSE(after.kept());
    CHECK_FALSE(before.kept());
    CHECK(after.why.find("undefined") != std::string::npos);
    CHECK(to_json(after)["log_loss_after"].is_null());
    CHECK(to_json(after)["log_loss_holds"] == false);
  }
  Predictions one = good, other = bad;  // one patient has no standard error
  for (Predictions* p : {&one, &other}) p->patients.assign(p->size(), "the same");
  CHECK_FALSE(safety_rail({other, 0.7}, {one, 0.9}).kept());
  CHECK_THROWS(safety_rail({bad, 0.7}, {model(93, 3, 1, 10), 0.9}));
}

TEST_CASE("three classes are weighed as two are") {
  Predictions a{.classes = {"A", "B", "C"}, .labels = {}, .probabilities = {}, .patients = {}};
  Predictions b = a;
  for (int i = 0; i < 60; ++i) {
    const int32_t label = i % 3;
    for (Predictions* p : {&a, &b}) {
      p->labels.push_back(label), p->patients.push_back(std::to_string(i));
      const double right = p == &a ? 0.5 + 0.004 * (i % 7) : 0.8 + 0.01 * (i % 5);
      const bool wrong = p == &a ? i % 10 == 9 : i % 20 == 19;
      for (int c = 0; c < 3; ++c) p->probabilities.push_back(c == (wrong ? (label + 1) % 3 : label) ? right : (1 - right) / 2);
    }
  }
  const SafetyRail r = safety_rail({a, 0.9}, {b, 0.91});
  CHECK(r.kept());
  CHECK(r.log_loss_after < r.log_loss_before);
  CHECK_FALSE(safety_rail({b, 0.91}, {a, 0.9}).kept());
}

}  // namespace ptrain::test
