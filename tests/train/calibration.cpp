#include "train/calibration.hpp"

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/metrics/ranking.hpp"
#include "train/prior_shift.hpp"
#include "train/statistics/random.hpp"

namespace ptrain {
namespace {

using test::close;
using Values = std::vector<double>;
using Labels = std::vector<int32_t>;

// rng = numpy default_rng(11): 12 rows of 3 logits, rounded to 2 digits, labels drawn from them.
const Values kLogits{0.1,   4.08, 3.67,  -1.53, -0.89, -1.58, 1.71,  -0.17, 2.24,  -5.54, 4.7,  -0.29, 2.04,  -0.41, -1.14, 1.39, 2.47, -0.61,
                     -0.46, 2.06, -2.61, -4.54, 1.18,  -2.01, -5.76, -2.44, -1.4,  -3.58, -4.48, 0.11, 2.69,  -0.7,  -2.23, 1.15, 2.15, -0.9};
const Labels kLabels{1, 1, 0, 2, 0, 1, 0, 2, 1, 2, 0, 1};

ErrorKind kind(auto f) {
  try {
    f();
  } catch (const Error& e) {
    return e.kind();
  }
  return ErrorKind::leak;
}

}  // namespace

TEST_CASE("the temperature is the root that mpmath finds") {  // mpmath.findroot of the slope of the likelihood; scipy 1.17 for the likelihoods
  const Temperature t = fit_temperature(kLogits, kLabels, 3);
  CHECK(close(t.temperature, 3.09183828155321304, 0, 1e-12));
  CHECK(close(t.nll_before, 1.2776961991669367, 0, 1e-14));
  CHECK(close(t.nll_after, 0.9378913824918832, 0, 1e-13));
  CHECK(!t.at_limit);
}

TEST_CASE("the temperature that made the labels is found again") {  // labels drawn from softmax(logits / 2.5)
  statistics::RandomStream r(8, Purpose::test, 60, 0);
  constexpr int kImages = 20000;
  Values logits;
  Labels labels;
  for (int i = 0; i < kImages; ++i) {
    const double z = 10 * (r.unit() - 0.5);
    logits.insert(logits.end(), {0.0, z});
    labels.push_back(r.unit() < 1 / (1 + std::exp(-z / 2.5)));
  }
  const Temperature t = fit_temperature(logits, labels, 2);
  CHECK(close(t.temperature, 2.5, 0.12, 0));  // four standard errors: T²·sqrt(1/Σ p(1−p)z²) = 0.030
  CHECK(t.nll_after < t.nll_before);
  for (double other : {0.5, 0.9, 1.1, 2.0}) {  // no other temperature does better
    Values scaled;
    for (double z : logits) scaled.push_back(z / (t.temperature * other));
    CHECK(fit_temperature(scaled, labels, 2).nll_before > t.nll_after);
    CHECK(close(fit_temperature(scaled, labels, 2).temperature, 1 / other, 0, 1e-9));
  }
}

TEST_CASE("temperature keeps the order of images and of classes") {
  const Values before = apply_temperature(kLogits, 3, 1), after = apply_temperature(kLogits, 3, 4.5);
  for (size_t i = 0; i < kLabels.size(); ++i) {
    double sum = 0;
    for (size_t a = 0; a < 3; ++a) {
      sum += after[3 * i + a];
      for (size_t b = 0; b < 3; ++b) CHECK((before[3 * i + a] < before[3 * i + b]) == (after[3 * i + a] < after[3 * i + b]));
    }
    CHECK(close(sum, 1, 1e-15, 0));
  }
  Values two, one;
  Labels binary;
  for (size_t i = 0; i < kLabels.size(); ++i) two.insert(two.end(), {kLogits[3 * i], kLogits[3 * i + 1]}), binary.push_back(kLabels[i] == 1);
  const auto scores = [&](double t) {
    Values column;
    const Values p = apply_temperature(two, 2, t);
    for (size_t i = 1; i < p.size(); i += 2) column.push_back(p[i]);
    return column;
  };
  CHECK(metrics::roc_auc(binary, scores(1)) == metrics::roc_auc(binary, scores(3)));
}

TEST_CASE("a temperature has limits where the likelihood has none") {
  const Temperature sure = fit_temperature(Values{0, 1, 2, 0}, Labels{1, 0}, 2);  // all right: the colder the better
  CHECK(sure.at_limit);
  CHECK(close(sure.temperature, 0.01, 0, 1e-12));
  CHECK(sure.nll_after < 1e-40);
  const Temperature misled = fit_temperature(Values{0, 1, 2, 0}, Labels{0, 1}, 2);  // all wrong: the hotter the better
  CHECK(misled.at_limit);
  CHECK(close(misled.temperature, 100, 0, 1e-12));
  const Temperature flat = fit_temperature(Values{1, 1, -4, -4}, Labels{0, 1}, 2);
  CHECK(flat.temperature == 1);
  CHECK(!flat.at_limit);
  CHECK(close(flat.nll_after, std::log(2.0), 0, 1e-15));
  CHECK(fit_temperature(Values{1e300, -1e300, 5, 700}, Labels{0, 1}, 2).nll_after == 0);  // no overflow
}

TEST_CASE("logits of probabilities give them back") {
  const Values p{0.25, 0.75, 1, 0, 1e-30, 1};
  const Values back = apply_temperature(logits_of(p), 2, 1);
  for (size_t i = 0; i < p.size(); ++i) CHECK(close(back[i], p[i], 2e-38, 1e-14));
}

TEST_CASE("calibration refuses what it cannot use") {
  CHECK(kind([] { fit_temperature(Values{1, NAN}, Labels{0}, 2); }) == ErrorKind::diverged);
  CHECK(kind([] { fit_temperature(Values{1, INFINITY}, Labels{0}, 2); }) == ErrorKind::diverged);
  CHECK(kind([] { fit_temperature(Values{1, 2}, Labels{2}, 2); }) == ErrorKind::failed);
  CHECK(kind([] { fit_temperature(Values{1, 2, 3}, Labels{0}, 2); }) == ErrorKind::failed);
  CHECK(kind([] { fit_temperature(Values{}, Labels{}, 2); }) == ErrorKind::failed);
  for (double t : {0.0, -1.0, double(NAN), double(INFINITY)}) CHECK(kind([t] { apply_temperature(Values{1, 2}, 2, t); }) == ErrorKind::failed);
  CHECK(kind([] { logits_of(Values{NAN}); }) == ErrorKind::diverged);
}

TEST_CASE("prior shift finds the priors of Saerens' iteration") {  // numpy: 1e6 iterations of q = mean(P·q/prior normalised)
  const Values p{0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.6, 0.4, 0.2, 0.8, 0.95, 0.05, 0.7, 0.3, 0.05, 0.95};
  const PriorShift s = fit_prior_shift(p, Values{0.4, 0.6});
  CHECK(s.converged);
  CHECK(close(s.priors[0], 0.77437905, 1e-8, 0));
  CHECK(close(s.priors[1], 0.22562095, 1e-8, 0));
  const Values second{0.02112608, 0.04631071, 0.31187407, 0.11464632, 0.43723881, 0.01011961, 0.07684774, 0.78680426};
  for (size_t i = 0; i < second.size(); ++i) CHECK(close(s.probabilities[2 * i + 1], second[i], 1e-8, 0));
  CHECK(close(s.likelihood_ratio, 2.006465129052248, 0, 1e-9));
  CHECK(close(s.p, 0.15662989957839596, 0, 1e-9));  // scipy.stats.chi2.sf(…, 1)
  CHECK(s.probabilities == adjust_to_priors(p, Values{0.4, 0.6}, s.priors));

  const Values three{0.7, 0.2, 0.1, 0.1, 0.6, 0.3, 0.3, 0.3, 0.4, 0.2, 0.7, 0.1, 0.05, 0.15, 0.8, 0.1, 0.8, 0.1};
  const PriorShift at_edge = fit_prior_shift(three, Values{0.5, 0.3, 0.2});  // the first class dies out
  CHECK(close(at_edge.priors[0], 0, 1e-8, 0));
  CHECK(close(at_edge.priors[1], 0.649633636, 1e-8, 0));
  CHECK(close(at_edge.likelihood_ratio, 4.243648627368117, 0, 1e-8));
  CHECK(close(at_edge.p, 0.11981285278749292, 0, 1e-8));  // two degrees
}

TEST_CASE("prior shift recovers a planted change of frequencies") {
  // Two normal distributions at ±1; trained at 0.5 : 0.5, met at 0.2 : 0.8. The posterior at the old priors is known exactly.
  statistics::RandomStream r(9, Purpose::test, 61, 0);
  constexpr int kImages = 20000;
  Values posterior;
  int positives = 0;
  for (int i = 0; i < kImages; ++i) {
    const bool positive = r.unit() < 0.8;
    positives += positive;
    const double u = r.unit(), v = r.unit(), x = (positive ? 1 : -1) + std::sqrt(-2 * std::log(u)) * std::cos(6.283185307179586 * v);
    const double p = 1 / (1 + std::exp(-2 * x));
    posterior.insert(posterior.end(), {1 - p, p});
  }
  const PriorShift s = fit_prior_shift(posterior, Values{0.5, 0.5});
  CHECK(s.converged);
  CHECK(close(s.priors[1], 0.8, 0.02, 0));  // the standard error is about 0.004
  CHECK(s.p < 1e-10);
  const PriorShift again = fit_prior_shift(s.probabilities, s.priors);  // nothing is left to find
  CHECK(close(again.priors[1], s.priors[1], 1e-8, 0));
  CHECK(again.likelihood_ratio < 1e-9);
  CHECK(again.p > 0.99);
}

TEST_CASE("prior shift refuses priors that are none") {
  const Values p{0.5, 0.5};
  CHECK(kind([&] { fit_prior_shift(p, Values{0, 1}); }) == ErrorKind::failed);
  CHECK(kind([&] { fit_prior_shift(p, Values{0.5, 0.6}); }) == ErrorKind::failed);
  CHECK(kind([&] { fit_prior_shift(p, Values{1}); }) == ErrorKind::failed);
  CHECK(kind([&] { fit_prior_shift(p, Values{NAN, 0.5}); }) == ErrorKind::failed);
  CHECK(kind([&] { fit_prior_shift(Values{0.5, NAN}, Values{0.5, 0.5}); }) == ErrorKind::diverged);
  CHECK(kind([&] { fit_prior_shift(Values{0, 0}, Values{0.5, 0.5}); }) == ErrorKind::failed);
  CHECK(kind([&] { adjust_to_priors(p, Values{0.5, 0.5}, Values{0, 1}); }) == ErrorKind::failed);
}

}  // namespace ptrain
