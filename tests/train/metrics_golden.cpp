// Metrics and intervals against scikit-learn and the formulas of the golden files.
#include "tests/support/support.hpp"
#include "train/metrics/confusion.hpp"
#include "train/metrics/curves.hpp"
#include "train/metrics/delong.hpp"
#include "train/metrics/evaluation.hpp"
#include "train/metrics/interval.hpp"
#include "train/metrics/paired.hpp"
#include "train/metrics/probability.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain::metrics {
namespace {

using Json = nlohmann::json;

constexpr double kRelative = 1e-12, kZero = 1e-15;  // kZero: for values that are 0 but for rounding, such as an end of Wilson's interval

double number(const Json& j) { return j.is_null() ? NAN : j == "inf" ? INFINITY : j.get<double>(); }

// null means undefined and must be NaN here.
bool agrees(double got, const Json& want, double relative = kRelative) {
  if (want.is_null()) return std::isnan(got);
  const double w = number(want);
  return std::isinf(w) ? got == w : test::close(got, w, kZero, relative);
}

bool agrees(const Interval& got, const Json& want) {
  if (want.is_null()) return std::isnan(got.low) && std::isnan(got.high);
  return agrees(got.low, want[0]) && agrees(got.high, want[1]);
}

std::string difference(const std::vector<double>& got, const Json& want) {
  if (got.size() != want.size()) return "sizes " + std::to_string(got.size()) + " and " + std::to_string(want.size());
  for (size_t i = 0; i < got.size(); ++i)
    if (!agrees(got[i], want[i])) return "at " + std::to_string(i) + ": " + std::to_string(got[i]) + " and " + want[i].dump();
  return "";
}

Json goldens(const char* name) { return test::read_json(test::shared() / "keras/metrics" / name); }

struct Set {
  std::vector<int32_t> labels;
  std::vector<double> scores;
};

}  // namespace

TEST_CASE("binary metrics equal scikit-learn") {
  NEEDS_GOLDENS("metrics/metrics.json");
  const Json golden = goldens("metrics.json");
  REQUIRE(golden.at("sets").size() >= 6);
  for (const Json& g : golden["sets"]) {
    CAPTURE(g["name"].get<std::string>());
    const Set s{g["labels"], g["scores"]};
    const Confusion c = confusion_at(s.labels, s.scores, 0.5);
    CHECK(std::vector<int64_t>{c.tn, c.fp, c.fn, c.tp} == g["confusion_tn_fp_fn_tp"].get<std::vector<int64_t>>());
    CHECK(c.n() == g["n"]);
    CHECK(c.positives() == g["positives"]);
    CHECK(agrees(accuracy(c), g["accuracy"]));
    CHECK(agrees(sensitivity(c), g["sensitivity"]));
    CHECK(agrees(specificity(c), g["specificity"]));
    CHECK(agrees(precision(c), g["precision"]));
    CHECK(agrees(npv(c), g["npv"]));
    CHECK(agrees(f1(c), g["f1"]));
    CHECK(agrees(mcc(c), g["mcc"]));
    CHECK(agrees(balanced_accuracy(c), g["balanced_accuracy"]));
    CHECK(agrees(cohen_kappa(c), g["cohen_kappa"]));
    CHECK(agrees(roc_auc(s.labels, s.scores), g["roc_auc"]));
    CHECK(agrees(average_precision(s.labels, s.scores), g["average_precision"]));
    CHECK(agrees(brier_score(s.labels, s.scores), g["brier"]));
    CHECK(agrees(log_loss(s.labels, s.scores), g["log_loss"], 1e-9));
    CHECK(agrees(ece_positive(s.labels, s.scores), g["ece_positive_15"]));
    CHECK(agrees(ece_confidence(s.labels, s.scores), g["ece_confidence_15"]));
    const Json& w = g["wilson95"];
    CHECK(agrees(wilson(c.tp + c.tn, c.n()), w["accuracy"]));
    CHECK(agrees(wilson(c.tp, c.positives()), w["sensitivity"]));
    CHECK(agrees(wilson(c.tn, c.negatives()), w["specificity"]));
    CHECK(agrees(wilson(c.tp, c.tp + c.fp), w["precision"]));
  }
}

TEST_CASE("the evaluation holds the same numbers") {
  NEEDS_GOLDENS("metrics/metrics.json");
  const Json golden = goldens("metrics.json");
  for (const Json& g : golden["sets"]) {
    CAPTURE(g["name"].get<std::string>());
    Predictions p{.classes = {"NORMAL", "PNEUMONIA"}, .labels = g["labels"], .probabilities = {}, .patients = {}};
    for (double s : g["scores"].get<std::vector<double>>()) p.probabilities.insert(p.probabilities.end(), {1 - s, s});
    const nlohmann::ordered_json j = to_json(evaluate(p, {.bootstrap_replicates = 40}));
    const std::pair<const char*, const char*> names[] = {{"accuracy", "accuracy"},
                                                         {"balanced_accuracy", "balanced_accuracy"},
                                                         {"sensitivity", "sensitivity"},
                                                         {"specificity", "specificity"},
                                                         {"precision", "precision"},
                                                         {"npv", "npv"},
                                                         {"f1", "f1"},
                                                         {"mcc", "mcc"},
                                                         {"cohen_kappa", "cohen_kappa"},
                                                         {"brier", "brier"},
                                                         {"auc", "roc_auc"},
                                                         {"average_precision", "average_precision"},
                                                         {"ece_positive", "ece_positive_15"},
                                                         {"ece_confidence", "ece_confidence_15"}};
    for (const auto& [ours, theirs] : names) {
      CAPTURE(ours);
      CHECK(agrees(number(j.at(ours)), g[theirs]));
      CHECK(agrees(number(j["at_0.5"].value(ours, j.at(ours))), g[theirs]));
    }
    CHECK(agrees(number(j["log_loss"]), g["log_loss"], 1e-9));
    CHECK(j["n"] == g["n"]);
    const Json& counts = g["confusion_tn_fp_fn_tp"];
    CHECK(j["confusion"].dump() == Json{{counts[0], counts[1]}, {counts[2], counts[3]}}.dump());
    CHECK(j["auc_ci95"].is_null() == (g["delong"].is_null()));
    for (const char* name : {"accuracy", "sensitivity", "specificity", "precision"}) {
      const auto& ci = j[std::string(name) + "_ci95"];
      CHECK(agrees(ci.is_null() ? Interval{} : Interval{ci[0], ci[1]}, g["wilson95"][name]));
    }
  }
}

TEST_CASE("DeLong variance and both intervals") {
  NEEDS_GOLDENS("metrics/metrics.json");
  int seen = 0;
  const Json golden = goldens("metrics.json");
  for (const Json& g : golden["sets"]) {
    CAPTURE(g["name"].get<std::string>());
    const Set s{g["labels"], g["scores"]};
    const DelongAuc d = delong(s.labels, s.scores);
    const Json& want = g["delong"];
    if (want.is_null()) {
      CHECK(std::isnan(d.auc));
      CHECK(std::isnan(d.variance));
      continue;
    }
    ++seen;
    CHECK(agrees(d.auc, want["auc"]));
    CHECK(agrees(d.variance, want["variance"]));
    CHECK(agrees(d.se, want["se"]));
    CHECK(agrees(d.wald, want["ci95"]));
    CHECK(agrees(d.logit, want["ci95_logit"]));
  }
  CHECK(seen >= 5);
}

TEST_CASE("ROC points equal scikit-learn with and without intermediate ones") {
  NEEDS_GOLDENS("metrics/metrics.json");
  int seen = 0;
  const Json golden = goldens("metrics.json");
  for (const Json& g : golden["sets"]) {
    CAPTURE(g["name"].get<std::string>());
    const Set s{g["labels"], g["scores"]};
    for (const auto& [key, drop] : {std::pair("roc", Drop::nothing), {"roc_drop_intermediate", Drop::intermediate}}) {
      if (!g.contains(key)) continue;
      ++seen;
      const RocCurve curve = roc_curve(s.labels, s.scores, drop);
      CHECK(difference(curve.fpr, g[key]["fpr"]) == "");
      CHECK(difference(curve.tpr, g[key]["tpr"]) == "");
      CHECK(difference(curve.thresholds, g[key]["thresholds"]) == "");
    }
  }
  CHECK(seen >= 9);
}

TEST_CASE("paired tests on two models") {
  NEEDS_GOLDENS("metrics/paired.json");
  const Json g = goldens("paired.json");
  const std::vector<int32_t> labels = g["labels"];
  const std::vector<double> first = g["first_scores"], second = g["second_scores"];
  const DelongPaired d = delong_paired(labels, first, second);
  const Json& want = g["delong_paired"];
  CHECK(agrees(d.difference, want["difference"]));
  CHECK(agrees(d.covariance, want["covariance"]));
  CHECK(agrees(d.variance, want["variance"]));
  CHECK(agrees(d.z, want["z"]));
  CHECK(agrees(d.p, want["p"]));

  std::vector<bool> first_right, second_right;
  for (size_t i = 0; i < labels.size(); ++i) {
    first_right.push_back((first[i] >= 0.5) == (labels[i] == 1));
    second_right.push_back((second[i] >= 0.5) == (labels[i] == 1));
  }
  const auto check = [](const Mcnemar& m, const Json& w) {
    CAPTURE(w.dump());
    CHECK(m.first_only == w["b_first_right_second_wrong"]);
    CHECK(m.second_only == w["c_first_wrong_second_right"]);
    CHECK(agrees(m.exact_p, w["exact_p"]));
    CHECK(agrees(m.mid_p, w["mid_p"]));
  };
  check(mcnemar(first_right, second_right), g["mcnemar"]);
  REQUIRE(g["mcnemar_small"].size() >= 7);
  for (const Json& w : g["mcnemar_small"])
    check(mcnemar(w["b_first_right_second_wrong"].get<int64_t>(), w["c_first_wrong_second_right"].get<int64_t>()), w);
  REQUIRE(g["wilson"].size() >= 6);
  for (const Json& w : g["wilson"]) {
    CAPTURE(w.dump());
    CHECK(agrees(wilson(w["successes"], w["n"]), w["ci95"]));
  }
}

}  // namespace ptrain::metrics
