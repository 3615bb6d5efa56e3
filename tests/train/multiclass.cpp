// Metrics of more than two classes. Oracles: scikit-learn 1.9.1.
#include "train/metrics/multiclass.hpp"

#include <algorithm>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"

namespace ptrain::metrics {
namespace {

using test::close;
using Labels = std::vector<int32_t>;
using Scores = std::vector<double>;

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
  CHECK(mcc(confusion_matrix(Labels{0, 1, 2}, Labels{0, 0, 0}, 3)) == 0);  // sklearn: matthews_corrcoef([0, 1, 2], [0, 0, 0]) is 0.0
  CHECK(std::isnan(cohen_kappa(confusion_matrix(Labels{1, 1}, Labels{1, 0}, 3))));
  const ConfusionMatrix absent = confusion_matrix(Labels{0, 0, 1}, Labels{0, 1, 1}, 3);  // class 2 nowhere: left out
  CHECK(close(balanced_accuracy(absent), 0.75, 0, 1e-14));
  CHECK(close(macro_precision(absent), 0.75, 0, 1e-14));
  CHECK_THROWS_AS(confusion_matrix(Labels{3}, Labels{0}, 3), Error);
  CHECK_THROWS_AS(confusion_matrix(Labels{0}, Labels{-1}, 3), Error);
}

TEST_CASE("means over classes need every class that the images have") {
  const auto value = [](const Predictions& p, const std::vector<uint32_t>& times, std::string_view name) {
    std::vector<double> values(MulticlassStatistics::kNames.size());
    MulticlassStatistics{p}(times, values);
    return values[size_t(std::ranges::find(MulticlassStatistics::kNames, name) - MulticlassStatistics::kNames.begin())];
  };
  const Predictions p = three_classes();
  std::vector<uint32_t> without_c;  // a bootstrap replicate that misses the third class
  for (int32_t label : p.labels) without_c.push_back(label != 2);
  for (const char* name : {"balanced_accuracy", "specificity", "precision", "f1", "auc", "average_precision"})
    CHECK_MESSAGE(std::isnan(value(p, without_c, name)), name);
  for (const char* name : {"accuracy", "mcc", "brier", "log_loss"}) CHECK_MESSAGE(std::isfinite(value(p, without_c, name)), name);

  Predictions two = p;  // no image of the third class at all: its AUC is left out
  for (int32_t& label : two.labels) label = std::min(label, 1);
  const std::vector<uint32_t> once(p.size(), 1);
  const double mean = (roc_auc(two.labels_against(0), two.scores(0)) + roc_auc(two.labels_against(1), two.scores(1))) / 2;
  CHECK(close(value(two, once, "auc"), mean, 0, 1e-14));
  CHECK(std::isfinite(value(two, once, "f1")));
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

}  // namespace ptrain::metrics
