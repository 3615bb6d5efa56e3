// What the golden sets leave open: undefined values, curves, several classes, patients, thresholds. Oracles: scikit-learn 1.9.1.
#include <array>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/metrics/binary_statistics.hpp"
#include "train/metrics/curves.hpp"
#include "train/metrics/delong.hpp"
#include "train/metrics/interval.hpp"
#include "train/metrics/multiclass.hpp"
#include "train/metrics/paired.hpp"
#include "train/metrics/patients.hpp"
#include "train/metrics/probability.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain::metrics {
namespace {

using test::close;
using Labels = std::vector<int32_t>;
using Scores = std::vector<double>;

bool same(const std::vector<double>& got, const std::vector<double>& want) {
  const std::string d = test::difference(std::span<const double>(got), std::span<const double>(want), 1e-15, 1e-14);
  if (!d.empty()) MESSAGE(d);
  return d.empty();
}

// The set of multi-class oracles: rng = default_rng(5), 24 images of 3 classes, probabilities rounded to 2 digits.
Predictions three_classes() {
  return {{"a", "b", "c"},
          {2, 2, 0, 2, 1, 1, 1, 0, 2, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 2, 0, 1, 2, 0},
          {0.04, 0.55, 0.41, 0.09, 0.45, 0.46, 0.59, 0.23, 0.18, 0.4,  0.22, 0.38, 0.18, 0.8,  0.02, 0.28, 0.41, 0.31,
           0.06, 0.71, 0.23, 0.68, 0.11, 0.21, 0.08, 0.06, 0.86, 0.16, 0.51, 0.33, 0.2,  0.64, 0.16, 0.24, 0.73, 0.03,
           0.14, 0.41, 0.45, 0.04, 0.91, 0.05, 0.32, 0.06, 0.62, 0.29, 0.61, 0.1,  0.71, 0.24, 0.05, 0.38, 0.53, 0.09,
           0.56, 0.15, 0.29, 0.13, 0.16, 0.71, 0.54, 0.07, 0.39, 0.19, 0.62, 0.19, 0.59, 0.16, 0.25, 0.34, 0.54, 0.12},
          {}};
}

}  // namespace

TEST_CASE("precision and recall points equal scikit-learn") {  // precision_recall_curve(labels, scores)
  const PrecisionRecallCurve c = precision_recall_curve(Labels{1, 1, 1, 0, 0}, Scores{0.1, 0.2, 0.3, 0.7, 0.9});
  CHECK(same(c.precision, {0.6, 0.5, 1.0 / 3, 0, 0, 1}));
  CHECK(same(c.recall, {1, 2.0 / 3, 1.0 / 3, 0, 0, 0}));
  CHECK(same(c.thresholds, {0.1, 0.2, 0.3, 0.7, 0.9}));
  const PrecisionRecallCurve ties = precision_recall_curve(Labels{0, 1, 1, 0}, Scores{0.5, 0.5, 0.8, 0.2});
  CHECK(same(ties.precision, {0.5, 2.0 / 3, 1, 1}));
  CHECK(same(ties.recall, {1, 1, 0.5, 0}));
  CHECK(same(precision_recall_curve(Labels{0, 0}, Scores{0.1, 0.2}).recall, {1, 1, 0}));
}

TEST_CASE("what one class alone leaves undefined is nan") {
  const Labels positive{1, 1, 1}, negative{0, 0, 0};
  const Scores s{0.2, 0.6, 0.9};
  for (const Labels& y : {positive, negative}) {
    CHECK(std::isnan(roc_auc(y, s)));
    CHECK(std::isnan(delong(y, s).auc));
    CHECK(std::isnan(delong_paired(y, s, s).p));
    CHECK(std::isnan(balanced_accuracy(confusion_at(y, s, 0.5))));
    CHECK(std::isnan(cohen_kappa(confusion_at(y, s, 0.5))));
  }
  CHECK(average_precision(positive, s) == 1);
  CHECK(std::isnan(average_precision(negative, s)));
  CHECK(std::isnan(roc_curve(positive, s).fpr[0]));
  CHECK(roc_curve(positive, s).tpr.back() == 1);
  CHECK(f1(confusion_at(negative, s, 2)) == 0);   // sklearn: f1_score([0,0,0], [0,0,0]) is 0.0
  CHECK(mcc(confusion_at(negative, s, 2)) == 0);  // sklearn: matthews_corrcoef([0,0,0], [0,0,0]) is 0.0
  CHECK(std::isnan(precision(confusion_at(positive, s, 2))));
  const Interval none = wilson(0, 0);
  CHECK((std::isnan(none.low) && std::isnan(none.high) && !none.contains(0.5)));
}

TEST_CASE("one image of a class gives an AUC but no variance") {
  const DelongAuc d = delong(Labels{1, 0, 0}, Scores{0.5, 0.2, 0.7});
  CHECK(d.auc == 0.5);
  CHECK(std::isnan(d.variance));
  CHECK(std::isnan(d.wald.low));
}

TEST_CASE("scores and labels that are none are refused") {
  const auto kind = [](auto f) {
    try {
      f();
    } catch (const Error& e) {
      return e.kind();
    }
    return ErrorKind::usage;
  };
  const Labels y{0, 1, 1};
  for (double bad : {double(NAN), double(INFINITY), -double(INFINITY)}) {
    const Scores s{0.1, bad, 0.5}, good{0.1, 0.2, 0.3};
    CHECK(kind([&] { roc_auc(y, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { average_precision(y, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { confusion_at(y, s, 0.5); }) == ErrorKind::diverged);
    CHECK(kind([&] { log_loss(y, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { brier_score(y, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { reliability(y, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { roc_curve(y, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { delong(y, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { delong_paired(y, good, s); }) == ErrorKind::diverged);
    CHECK(kind([&] { BinaryStatistics(y, s, 0.5); }) == ErrorKind::diverged);
  }
  CHECK(kind([&] { roc_auc(y, Scores{0.1, 0.2}); }) == ErrorKind::failed);
  CHECK(kind([&] { roc_auc(Labels{}, Scores{}); }) == ErrorKind::failed);
  CHECK(kind([&] { roc_auc(Labels{0, 2}, Scores{0.1, 0.2}); }) == ErrorKind::failed);
  CHECK(kind([&] { brier_score(y, Scores{0.1, 0.2, 1.5}); }) == ErrorKind::failed);
  CHECK(kind([&] { confusion_at(y, Scores{0.1, 0.2, 0.3}, NAN); }) == ErrorKind::failed);
}

TEST_CASE("midranks share the mean rank of ties") {
  CHECK(same(midranks(Scores{3, 1, 3, 2, 3}), {4, 1, 4, 2, 4}));
  CHECK(same(midranks(Scores{5, 5}), {1.5, 1.5}));
  CHECK(midranks({}).empty());
}

TEST_CASE("a reliability diagram counts every image once") {
  const Labels y{0, 1, 1, 0, 1};
  const Scores s{0, 0.19, 0.2, 1, 0.99};
  const std::vector<ReliabilityBin> bins = reliability(y, s, 5);
  CHECK(bins[0].n == 2);
  CHECK(bins[0].positives == 1);
  CHECK(close(bins[0].mean_score, 0.095, 0, 1e-15));
  CHECK(bins[0].fraction == 0.5);
  CHECK(close(bins[0].gap, 0.81, 0, 1e-15));
  CHECK(bins[0].fraction_ci95.low == wilson(1, 2).low);
  CHECK(bins[1].n == 1);  // 0.2 opens the second bin
  CHECK(bins[2].n == 0);
  CHECK(std::isnan(bins[2].mean_score));
  CHECK(bins[2].gap == 0);
  CHECK(bins[4].n == 2);  // the last bin holds 1
  CHECK((bins[4].low == 0.8 && bins[4].high == 1));
}

TEST_CASE("Wilson ends exactly at 0 and 1 and narrows with the level") {
  CHECK(wilson(0, 7).low == 0);
  CHECK(wilson(7, 7).high == 1);
  CHECK(wilson(0, 7).high == doctest::Approx(1 - wilson(7, 7).low).epsilon(1e-14));
  CHECK(wilson(3, 10, 0.99).width() > wilson(3, 10, 0.95).width());
  CHECK_THROWS_AS(wilson(3, 2), Error);
  CHECK_THROWS_AS(wilson(-1, 2), Error);
}

TEST_CASE("paired DeLong of equal and of opposite rankings") {
  const Labels y{0, 0, 1, 1, 0, 1};
  const Scores a{0.1, 0.4, 0.35, 0.8, 0.2, 0.9}, scaled{0.01, 0.04, 0.035, 0.08, 0.02, 0.09};
  const DelongPaired same_ranking = delong_paired(y, a, scaled);
  CHECK(same_ranking.difference == 0);
  CHECK(same_ranking.variance == 0);
  CHECK(same_ranking.p == 1);
  const Scores perfect{0, 0, 1, 1, 0, 1}, inverted{1, 1, 0, 0, 1, 0};
  const DelongPaired certain = delong_paired(y, perfect, inverted);
  CHECK(certain.difference == 1);
  CHECK(std::isnan(certain.p));  // no variance: no statement
  const DelongPaired forth = delong_paired(y, a, inverted), back = delong_paired(y, inverted, a);
  CHECK(forth.p == back.p);
  CHECK(forth.difference == -back.difference);
  CHECK((forth.ci.low == -back.ci.high && forth.ci.contains(forth.difference)));
}

TEST_CASE("Holm corrects in steps and leaves undefined tests out") {
  // 4·0.005, 3·0.01, 2·0.03, and for the last the larger of that and 1·0.04
  CHECK(same(holm(Scores{0.01, 0.04, 0.03, 0.005}), {0.03, 0.06, 0.06, 0.02}));
  CHECK(same(holm(Scores{0.6, 0.5}), {1, 1}));
  const std::vector<double> with_nan = holm(Scores{0.02, NAN, 0.03});
  CHECK(std::isnan(with_nan[1]));
  CHECK((with_nan[0] == 0.04 && with_nan[2] == 0.04));
  CHECK(holm({}).empty());
  CHECK_THROWS_AS(holm(Scores{1.5}), Error);
}

TEST_CASE("metrics of three classes equal scikit-learn") {
  const Predictions p = three_classes();
  const ConfusionMatrix m = confusion_matrix(p.labels, p.most_likely(), 3);
  const int64_t want[3][3] = {{5, 5, 1}, {0, 6, 1}, {2, 1, 3}};  // confusion_matrix(y, p.argmax(1))
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) CHECK(m.at(i, j) == want[i][j]);
  CHECK(m.one_vs_rest(1) == Confusion{.tn = 11, .fp = 6, .fn = 1, .tp = 6});
  std::vector<double> values(MulticlassStatistics::kNames.size());
  MulticlassStatistics{p}(std::vector<uint32_t>(24, 1), values);
  const std::pair<std::string_view, double> table[] = {
      {"accuracy", 0.5833333333333334},  {"balanced_accuracy", 0.6038961038961038},  // accuracy_score, balanced_accuracy_score
      {"precision", 0.6047619047619048}, {"f1", 0.5775296827928407},                 // average="macro"
      {"mcc", 0.3984057767115169},       {"cohen_kappa", 0.3766233766233765},
      {"auc", 0.8731606084547261},       {"average_precision", 0.7995058491716245},  // multi_class="ovr", average="macro"
      {"brier", 0.4596833333333333},     {"log_loss", 0.7528632370188397}};
  for (const auto& [name, value] : table) {
    CAPTURE(name);
    const auto at = std::ranges::find(MulticlassStatistics::kNames, name) - MulticlassStatistics::kNames.begin();
    CHECK(close(values[size_t(at)], value, 0, 1e-12));
  }
  CHECK(close(macro_specificity(m), (11.0 / 13 + 11.0 / 17 + 16.0 / 18) / 3, 0, 1e-14));
}

TEST_CASE("a class that is never predicted counts as scikit-learn counts it") {
  const ConfusionMatrix m = confusion_matrix(Labels{0, 0, 1, 1, 2, 2, 2}, Labels{0, 0, 0, 0, 1, 1, 0}, 3);
  CHECK(close(macro_precision(m), 0.13333333333333333, 0, 1e-14));  // precision_score(..., average="macro", zero_division=0)
  CHECK(close(macro_f1(m), 0.19047619047619047, 0, 1e-14));
  CHECK(close(balanced_accuracy(m), 1.0 / 3, 0, 1e-14));
  CHECK(mcc(m) == 0);
  CHECK(cohen_kappa(m) == 0);
  const ConfusionMatrix absent = confusion_matrix(Labels{0, 0, 1}, Labels{0, 1, 1}, 3);  // class 2 nowhere: left out
  CHECK(close(balanced_accuracy(absent), 0.75, 0, 1e-14));
  CHECK(close(macro_precision(absent), 0.75, 0, 1e-14));
  CHECK_THROWS_AS(confusion_matrix(Labels{3}, Labels{0}, 3), Error);
  CHECK_THROWS_AS(confusion_matrix(Labels{0}, Labels{-1}, 3), Error);
}

TEST_CASE("two classes give the same by either way") {
  const Labels y{0, 1, 1, 0, 1, 0, 0, 1};
  const Scores s{0.3, 0.8, 0.4, 0.6, 0.9, 0.1, 0.45, 0.7};
  Predictions p{{"n", "p"}, y, {}, {}};
  for (double v : s) p.probabilities.insert(p.probabilities.end(), {1 - v, v});
  const ConfusionMatrix m = confusion_matrix(y, p.most_likely(), 2);
  const Confusion c = confusion_at(y, s, 0.5);
  CHECK(m.one_vs_rest(1) == c);
  CHECK(close(mcc(m), mcc(c), 0, 1e-14));
  CHECK(close(cohen_kappa(m), cohen_kappa(c), 0, 1e-14));
  CHECK(close(balanced_accuracy(m), balanced_accuracy(c), 0, 1e-14));
}

TEST_CASE("images that count several times are the same as repeated images") {
  const Labels y{0, 1, 1, 0, 1};
  const Scores s{0.3, 0.8, 0.3, 0.6, 0.9};
  const std::vector<uint32_t> times{2, 0, 3, 1, 1};
  Labels repeated_y;
  Scores repeated_s;
  for (size_t i = 0; i < 5; ++i)
    for (uint32_t t = 0; t < times[i]; ++t) repeated_y.push_back(y[i]), repeated_s.push_back(s[i]);
  std::vector<double> got(BinaryStatistics::kNames.size());
  BinaryStatistics(y, s, 0.5)(times, got);
  const Confusion c = confusion_at(repeated_y, repeated_s, 0.5);
  CHECK(same(got, {accuracy(c), balanced_accuracy(c), sensitivity(c), specificity(c), precision(c), npv(c), f1(c), mcc(c), cohen_kappa(c),
                   roc_auc(repeated_y, repeated_s), average_precision(repeated_y, repeated_s), brier_score(repeated_y, repeated_s),
                   log_loss(repeated_y, repeated_s), ece_positive(repeated_y, repeated_s), ece_confidence(repeated_y, repeated_s)}));
}

TEST_CASE("a patient is the mean of the images and the majority of the labels") {
  const std::vector<std::string> patients{"p2", "p1", "p2", "p3", "p1", "p2"};
  const Groups g = group_by(patients);
  CHECK(g.names == std::vector<std::string>{"p2", "p1", "p3"});
  CHECK(g.of_image == std::vector<uint32_t>{0, 1, 0, 2, 1, 0});
  const PatientCases cases = per_patient(g, Labels{0, 1, 0, 1, 0, 1}, Scores{0.9, 0.1, 0.5, 0.5, 0.8, 0.2, 0.3, 0.7, 0.6, 0.4, 0.1, 0.9}, 2);
  CHECK(cases.labels == Labels{0, 1, 1});  // p2: two of three negative; p1: one each, so positive
  CHECK(cases.mixed == 2);
  CHECK(same(cases.probabilities, {0.6, 0.4, 0.55, 0.45, 0.3, 0.7}));
  CHECK_THROWS_AS(per_patient(g, Labels{0, 1}, Scores{1, 0, 1, 0}, 2), Error);
}

}  // namespace ptrain::metrics
