#include "tests/support/support.hpp"
#include "train/audit_report.hpp"
#include "train/compare.hpp"
#include "train/decision.hpp"
#include "train/logistic.hpp"
#include "train/metrics/ranking.hpp"
#include "train/predictions_csv.hpp"
#include "train/statistics/normal.hpp"
#include "train/statistics/random.hpp"

namespace ptrain::test {
namespace {

using metrics::Predictions;

// Two classes; the positive probability of an image is a function of its label and a random number.
Predictions model(const std::vector<int32_t>& labels, double separation, uint32_t stream) {
  Predictions p{.classes = {"A", "B"}, .labels = labels, .probabilities = {}, .patients = {}};
  statistics::RandomStream random(7, Purpose::test, stream, 0);
  for (const int32_t label : labels) {
    const double s = 1 / (1 + std::exp(-(statistics::normal_quantile(random.unit()) + separation * (label - 0.5))));
    p.probabilities.push_back(1 - s), p.probabilities.push_back(s);
  }
  return p;
}

std::vector<int32_t> alternating(size_t n) {
  std::vector<int32_t> labels(n);
  for (size_t i = 0; i < n; ++i) labels[i] = int32_t(i % 2);
  return labels;
}

}  // namespace

TEST_CASE("logistic regression finds scikit-learn's solution") {
  // scikit-learn 1.x: LogisticRegression(C=1/ridge, tol=1e-14) on StandardScaler's output of the same formula
  constexpr int n = 60, d = 3;
  std::vector<double> x;
  std::vector<int32_t> y;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < d; ++j) x.push_back(std::sin(1.3 * i + 0.7 * j) * (1 + j) + 0.01 * i * j);
    y.push_back(std::sin(0.9 * i) + 0.4 * std::sin(1.3 * i) > 0.1 * std::cos(3.0 * i));
  }
  const LogisticModel a = fit_logistic(x, y, d, 1), b = fit_logistic(x, y, d, 10);
  CHECK(difference(a.weights, std::vector<double>{0.38310724170638116, 0.07339992249684929, -0.24542473143237623}, 1e-9, 0) == "");
  CHECK(close(a.intercept, -0.06999161863199564, 1e-9, 0));
  CHECK(difference(b.weights, std::vector<double>{0.23484232121219337, 0.061492553900496905, -0.13464462937693766}, 1e-9, 0) == "");
  CHECK(close(b.intercept, -0.06796682169175283, 1e-9, 0));
}

TEST_CASE("logistic regression stays finite for separable classes and features without spread") {
  const std::vector<double> x{1, 5, 2, 5, 3, 5, 4, 5};
  const LogisticModel m = fit_logistic(x, std::vector<int32_t>{0, 0, 1, 1}, 2);
  CHECK(m.weights[1] == 0);
  CHECK(m.weights[0] > 0);
  CHECK(std::isfinite(m.weights[0]));
  CHECK(m.logit(std::vector<double>{2.5, 5}) == doctest::Approx(0).epsilon(1e-9));
}

TEST_CASE("prior differences equal scipy's chi-square test of contingency") {
  const PriorDifference two = prior_difference(Part::test, std::vector<int64_t>{234, 390}, std::vector<int64_t>{1341, 3875});
  CHECK(close(two.chi_square, 39.33783840710675, 0, 1e-12));
  CHECK(close(two.p, 3.5646616003933664e-10, 0, 1e-9));
  const PriorDifference three = prior_difference(Part::val, std::vector<int64_t>{8, 8, 3}, std::vector<int64_t>{100, 200, 50});
  CHECK(close(three.chi_square, 1.8791536169887708, 0, 1e-12));
  CHECK(close(three.p, 0.39079318072421093, 0, 1e-12));
}

TEST_CASE("the shortcut baseline sees what brightness tells and nothing where there is nothing") {
  constexpr size_t n = 400;
  const std::vector<int32_t> labels = alternating(n);
  std::vector<double> telling, silent;
  std::vector<std::string> patients;
  statistics::RandomStream random(3, Purpose::test, 1, 0);
  for (size_t i = 0; i < n; ++i) {
    patients.push_back("p" + std::to_string(i / 4 * 2 + size_t(labels[i])));
    for (size_t k = 0; k < kTrivialFeatures.size(); ++k) {
      const double noise = statistics::normal_quantile(random.unit());
      silent.push_back(noise);
      telling.push_back(noise + (k == 4 ? 1.5 * labels[i] : 0));
    }
  }
  const Shortcut seen = shortcut_baseline(telling, labels, patients, 2, 1), blind = shortcut_baseline(silent, labels, patients, 2, 1);
  CHECK(close(seen.auc.auc, 0.856, 0.05, 0));  // Φ(1.5/√2) = 0.8556
  CHECK(blind.auc.auc > 0.35);                 // where nothing is to be found, cross-validation pooled over folds lies a little below 0.5
  CHECK(blind.auc.auc < 0.56);
  CHECK(seen.weights[4] > 0.8);
  const Shortcut swapped = shortcut_baseline(telling, labels, patients, 2, 0);
  CHECK(close(swapped.auc.auc, seen.auc.auc, 1e-9, 0));  // the other class is as easy
  CHECK(swapped.weights[4] < -0.8);
}

TEST_CASE("a patient of the shortcut baseline is never on both sides") {
  // Every patient has its own brightness and label by a coin: known patients would give AUC 1, unknown ones 0.5.
  std::vector<double> x;
  std::vector<int32_t> labels;
  std::vector<std::string> patients;
  statistics::RandomStream random(5, Purpose::test, 2, 0);
  for (int p = 0; p < 150; ++p) {
    double values[8];
    for (double& v : values) v = statistics::normal_quantile(random.unit());
    const int32_t label = random.unit() < 0.5;
    for (int i = 0; i < 6; ++i) {
      x.insert(x.end(), values, values + 8);
      labels.push_back(label), patients.push_back("p" + std::to_string(p));
    }
  }
  CHECK(close(shortcut_baseline(x, labels, patients, 2, 1).auc.auc, 0.5, 0.12, 0));
}

TEST_CASE("pairs of models are tested as one by one and corrected together") {
  const std::vector<int32_t> labels = alternating(300);
  const std::vector<Predictions> models{model(labels, 3, 1), model(labels, 3, 2), model(labels, 0.5, 3)};
  const std::vector<PairTest> tests = test_pairs(models, 1);
  REQUIRE(tests.size() == 3);
  for (const PairTest& t : tests) {
    const metrics::DelongPaired alone = metrics::delong_paired(labels, models[t.a].scores(1), models[t.b].scores(1));
    CHECK(close(t.auc.p, alone.p, 0, 0));
    CHECK(t.auc_holm >= t.auc.p);
    CHECK(t.decisions_holm >= t.decisions.mid_p);
  }
  CHECK(tests[0].auc_holm > 0.05);   // equally good
  CHECK(tests[1].auc_holm < 0.001);  // one is much worse
  CHECK(close(std::min(tests[1].auc_holm, tests[2].auc_holm), std::min(1.0, 3 * std::min(tests[1].auc.p, tests[2].auc.p)), 0, 1e-12));
  CHECK(tests[1].accuracy_difference > 0.2);
  CHECK_THROWS(test_pairs({models[0], model(alternating(298), 1, 1)}, 1));
}

TEST_CASE("equally good models are called different in about 5 of 100 simulations") {
  int different = 0;
  for (uint32_t s = 0; s < 400; ++s) {
    const std::vector<int32_t> labels = alternating(160);
    different += test_pairs({model(labels, 1.5, 10 + 2 * s), model(labels, 1.5, 11 + 2 * s)}, 1)[0].auc_holm < 0.05;
  }
  CHECK(different >= 8);   // 2 %
  CHECK(different <= 36);  // 9 %
}

TEST_CASE("the choice is the best, or the cheapest of those that cannot be told apart from it") {
  const std::vector<int32_t> labels = alternating(300);
  const std::vector<Predictions> models{model(labels, 3, 1), model(labels, 3, 2), model(labels, 0.5, 3)};
  const std::vector<PairTest> tests = test_pairs(models, 1);
  std::vector<Candidate> c;
  for (size_t i = 0; i < models.size(); ++i)
    c.push_back({"net" + std::to_string(i), metrics::roc_auc(labels, models[i].scores(1)), 100.0 * double(i + 1)});
  c[2].macs = 1;  // cheap and bad: not to be taken
  const Choice tie = choose(c, tests);
  CHECK(tie.chosen == 0);
  CHECK(tie.tied.size() == 2);
  CHECK(tie.why.find("tie inside the noise") != std::string::npos);
  c[0].macs = 1000;
  CHECK(choose(c, tests).chosen == 1);
  const Choice two = choose({c[0], c[2]}, {test_pairs({models[0], models[2]}, 1)});
  CHECK(two.chosen == 0);
  CHECK(two.tied.size() == 1);
  c[0].auc = metrics::kUndefined;
  CHECK(choose({c[0]}, {}).chosen == 0);
  CHECK_THROWS(choose({}, {}));
}

TEST_CASE("a decision calibrates first and moves the threshold with the probabilities") {
  Predictions p = model(alternating(400), 2, 5);
  for (size_t i = 0; i < p.size(); ++i) {  // three times too sure
    const double z = 3 * std::log(p.probabilities[2 * i + 1] / p.probabilities[2 * i]);
    p.probabilities[2 * i + 1] = 1 / (1 + std::exp(-z)), p.probabilities[2 * i] = 1 / (1 + std::exp(z));
  }
  for (const char* point : {"youden", "sens=0.95", "spec=0.9"}) {
    const Decision d = decide(p, 1, parse_operating_point(point));
    CHECK(d.temperature.temperature > 1);
    CHECK(d.temperature.nll_after < d.temperature.nll_before);
    CHECK(d.ece_after < d.ece_before);
    const Predictions calibrated = at_temperature(p, d.temperature.temperature);
    const metrics::ChosenThreshold before = choose_threshold(parse_operating_point(point), p.labels_against(1), p.scores(1));
    CHECK(metrics::confusion_at(p.labels_against(1), calibrated.scores(1), d.threshold) == before.confusion);
    CHECK(to_json(d, true)["operating_point"] == point);
  }
  CHECK(to_json(decide(p, 1, {}), false)["threshold"].is_null());
}

TEST_CASE("predictions come back from their table bit by bit") {
  const TempDir temp;
  Manifest m{.root = "folder", .classes = {"A", "B"}, .entries = {}, .notes = {}};
  Predictions p = model(alternating(9), 1, 4);
  std::vector<int64_t> images;
  for (int64_t i = 0; i < 9; ++i) {
    m.entries.push_back({"train/A/x, " + std::to_string(i) + ".png", p.labels[size_t(i)], "p" + std::to_string(i), Part::train});
    p.patients.push_back(m.entries.back().patient), images.push_back(i);
  }
  write_predictions(temp / "p.csv", m, images, p, 1, 0.4);
  const PredictionTable t = read_predictions(temp / "p.csv");
  CHECK(t.predictions.probabilities == p.probabilities);
  CHECK(t.predictions.labels == p.labels);
  CHECK(t.predictions.patients == p.patients);
  CHECK(t.predictions.classes == p.classes);
  CHECK(t.predicted == decisions(p, 1, 0.4));
  CHECK(t.files[3] == m.entries[3].path);
}

}  // namespace ptrain::test
