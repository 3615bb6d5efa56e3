#include <limits>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/metrics/curves.hpp"
#include "train/metrics/threshold.hpp"
#include "train/operating_point.hpp"
#include "train/statistics/random.hpp"

namespace ptrain {
namespace {

using namespace metrics;
using Labels = std::vector<int32_t>;
using Scores = std::vector<double>;

const Labels kLabels{0, 0, 1, 0, 1, 1, 0, 1};
const Scores kScores{0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.7, 0.9};

ErrorKind kind(auto f) {
  try {
    f();
  } catch (const Error& e) {
    return e.kind();
  }
  return ErrorKind::failed;
}

}  // namespace

TEST_CASE("Youden's threshold is the first best point of the ROC curve") {
  // sklearn: fpr, tpr, t = roc_curve(y, s); t[argmax(tpr - fpr)] is 0.6 (tpr 3/4, fpr 1/4)
  const ChosenThreshold t = youden_threshold(kLabels, kScores);
  CHECK(t.score == 0.6);
  CHECK(test::close(t.threshold, 0.5, 0, 1e-15));  // half way to 0.4
  CHECK(t.confusion == Confusion{.tn = 3, .fp = 1, .fn = 1, .tp = 3});
  CHECK(t.confusion == confusion_at(kLabels, kScores, t.threshold));
  CHECK(youden_threshold(Labels{0, 1, 0, 1}, Scores{0.2, 0.6, 0.6, 0.8}).score == 0.8);  // J of 0.5 twice: the higher threshold
}

TEST_CASE("a target sensitivity or specificity is reached at least cost") {
  const ChosenThreshold sens = threshold_for_sensitivity(kLabels, kScores, 0.75);
  CHECK(sens.score == 0.6);
  CHECK(sens.confusion == Confusion{.tn = 3, .fp = 1, .fn = 1, .tp = 3});
  const ChosenThreshold all = threshold_for_sensitivity(kLabels, kScores, 1);
  CHECK(all.score == 0.3);
  CHECK(test::close(all.threshold, 0.25, 0, 1e-15));
  const ChosenThreshold spec = threshold_for_specificity(kLabels, kScores, 0.75);
  CHECK(spec.score == 0.6);  // the lowest with one false positive of four
  const ChosenThreshold none_wrong = threshold_for_specificity(kLabels, kScores, 1);
  CHECK(none_wrong.score == 0.9);
  CHECK(none_wrong.confusion.fp == 0);
}

TEST_CASE("thresholds at the ends of the scores") {
  const ChosenThreshold nothing = threshold_for_specificity(Labels{1, 0}, Scores{0.2, 0.8}, 1);  // the highest score is negative
  CHECK(std::isinf(nothing.score));
  CHECK(test::close(nothing.threshold, 0.9, 0, 1e-15));
  CHECK(nothing.confusion == Confusion{.tn = 1, .fp = 0, .fn = 1, .tp = 0});
  const ChosenThreshold above_one = threshold_for_specificity(Labels{1, 0}, Scores{0.2, 1}, 1);
  CHECK(above_one.threshold > 1);
  CHECK(confusion_at(Labels{1, 0}, Scores{0.2, 1}, above_one.threshold).fp == 0);
  const ChosenThreshold lowest = youden_threshold(Labels{1, 1, 0}, Scores{0.4, 0.4, 0.4});
  CHECK(lowest.threshold == 0.2);
  CHECK(lowest.confusion == Confusion{.tn = 0, .fp = 1, .fn = 0, .tp = 2});
  const double just_below = std::nextafter(0.5, 0);
  const ChosenThreshold neighbours = youden_threshold(Labels{0, 1}, Scores{just_below, 0.5});
  CHECK(confusion_at(Labels{0, 1}, Scores{just_below, 0.5}, neighbours.threshold) == Confusion{.tn = 1, .fp = 0, .fn = 0, .tp = 1});
}

TEST_CASE("the threshold makes the decisions that were counted") {  // and no other point of the curve does better, on random sets with ties
  for (uint32_t seed = 0; seed < 200; ++seed) {
    CAPTURE(seed);
    statistics::RandomStream r(seed, Purpose::test, 30, 0);
    Labels y{0, 1};
    Scores s{0.25, 0.75};
    for (int i = 0; i < 30; ++i) y.push_back(int32_t(r.below(2))), s.push_back(double(r.below(9)) / 8);
    const ChosenThreshold best = youden_threshold(y, s);
    CHECK(confusion_at(y, s, best.threshold) == best.confusion);
    CHECK(confusion_at(y, s, best.score) == best.confusion);
    const double target = 0.05 + 0.95 * r.unit();
    const ChosenThreshold sens = threshold_for_sensitivity(y, s, target), spec = threshold_for_specificity(y, s, target);
    CHECK(confusion_at(y, s, sens.threshold) == sens.confusion);
    CHECK(confusion_at(y, s, spec.threshold) == spec.confusion);
    CHECK(sensitivity(sens.confusion) >= target);
    CHECK(specificity(spec.confusion) >= target);
    for (const ThresholdCounts& c : threshold_counts(y, s)) {
      const Confusion at = confusion_at(y, s, c.score);
      CHECK(sensitivity(at) + specificity(at) <= sensitivity(best.confusion) + specificity(best.confusion) + 1e-12);
      if (sensitivity(at) >= target) CHECK(specificity(at) <= specificity(sens.confusion));
      if (specificity(at) >= target) CHECK(sensitivity(at) <= sensitivity(spec.confusion));
    }
  }
}

TEST_CASE("a threshold needs both classes and a target that can be") {
  CHECK(kind([] { youden_threshold(Labels{1, 1}, Scores{0.1, 0.2}); }) == ErrorKind::data);
  CHECK(kind([] { threshold_for_sensitivity(Labels{0, 0}, Scores{0.1, 0.2}, 0.9); }) == ErrorKind::data);
  for (double target : {0.0, -0.1, 1.1, double(NAN)}) {
    CHECK(kind([&] { threshold_for_sensitivity(kLabels, kScores, target); }) == ErrorKind::usage);
    CHECK(kind([&] { threshold_for_specificity(kLabels, kScores, target); }) == ErrorKind::usage);
  }
  CHECK(kind([] { youden_threshold(Labels{0, 1}, Scores{0.1, NAN}); }) == ErrorKind::diverged);
}

TEST_CASE("operating points are read as they are written") {
  for (const char* text : {"youden", "sens=0.95", "spec=0.9", "0.5", "0"}) CHECK(parse_operating_point(text).text() == text);
  CHECK(parse_operating_point("sens=1").rule == OperatingRule::sensitivity);
  CHECK(choose_threshold(parse_operating_point("youden"), kLabels, kScores).score == 0.6);
  CHECK(choose_threshold(parse_operating_point("sens=1"), kLabels, kScores).score == 0.3);
  CHECK(choose_threshold(parse_operating_point("spec=1"), kLabels, kScores).score == 0.9);
  const ChosenThreshold fixed = choose_threshold(parse_operating_point("0.65"), kLabels, kScores);
  CHECK((fixed.threshold == 0.65 && fixed.confusion.tp == 2 && fixed.confusion.fp == 1));
  for (const char* bad : {"", "Youden", "sens", "sens=", "sens=0", "sens=1.1", "sens=-1", "spec=x", "prec=0.9", "nan", "2", "0.5 ", "sens=0.9;"}) {
    CAPTURE(bad);
    CHECK(kind([&] { parse_operating_point(bad); }) == ErrorKind::usage);
  }
}

}  // namespace ptrain
