#include "train/metrics/evaluation.hpp"

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/metrics/bootstrap.hpp"
#include "train/metrics/ranking.hpp"
#include "train/statistics/random.hpp"

namespace ptrain::metrics {
namespace {

using Json = nlohmann::ordered_json;

// Images of `patients` patients, three each, labels by patient, scores that know them somewhat.
Predictions drawn(int patients, int classes, uint32_t replicate, bool named = true) {
  statistics::RandomStream r(7, Purpose::test, 50, replicate);
  Predictions p;
  for (int c = 0; c < classes; ++c) p.classes.push_back(std::string(1, char('A' + c)));
  for (int patient = 0; patient < patients; ++patient)
    for (int image = 0; image < 3; ++image) {
      const int label = patient % classes;
      p.labels.push_back(label);
      if (named) p.patients.push_back("p" + std::to_string(patient));
      double total = 0;
      std::vector<double> row;
      for (int c = 0; c < classes; ++c) row.push_back(r.unit() + (c == label ? 0.4 : 0)), total += row.back();
      for (double v : row) p.probabilities.push_back(v / total);
    }
  return p;
}

ErrorKind kind(const Predictions& p, const EvaluationOptions& options = {.bootstrap_replicates = 10}) {
  try {
    evaluate(p, options);
  } catch (const Error& e) {
    return e.kind();
  }
  return ErrorKind::leak;  // none of those below
}

const EvaluationOptions kQuick{.bootstrap_replicates = 200};

}  // namespace

TEST_CASE("an evaluation names every metric with its interval") {
  const Json j = to_json(evaluate(drawn(40, 2, 0), {.threshold = 0.45, .bootstrap_replicates = 200}));
  for (const char* key : {"n", "classes", "positive", "positives", "patients", "threshold", "confusion", "tn", "fp", "fn", "tp", "auc_ci95_logit", "auc_se",
                          "at_0.5", "per_patient", "intervals", "warnings"})
    CHECK_MESSAGE(j.contains(key), key);
  for (const char* name : {"accuracy", "balanced_accuracy", "sensitivity", "specificity", "precision", "npv", "f1", "mcc", "cohen_kappa", "auc",
                           "average_precision", "brier", "log_loss", "ece_positive", "ece_confidence"}) {
    CAPTURE(name);
    const Json ci = j[std::string(name) + "_ci95"];
    REQUIRE(ci.is_array());
    CHECK(ci[0].get<double>() <= j[name].get<double>());
    CHECK(j[name].get<double>() <= ci[1].get<double>());
    CHECK(ci[0].get<double>() < ci[1].get<double>());
  }
  for (const char* name : {"accuracy", "sensitivity", "specificity", "precision", "npv", "auc"})
    CHECK_MESSAGE(j[std::string(name) + "_ci95_patient"].is_array(), name);
  CHECK(j["n"] == 120);
  CHECK(j["patients"] == 40);
  CHECK(j["positive"] == "B");
  CHECK(j["threshold"] == 0.45);
  CHECK(j["at_0.5"]["threshold"] == 0.5);
  CHECK(j["at_0.5"]["accuracy_ci95"].is_array());
  CHECK(j["confusion"][1][1] == j["tp"]);
  CHECK(j["confusion"][0][1] == j["fp"]);
  CHECK(j["per_patient"]["n"] == 40);
  CHECK(j["per_patient"]["per_patient"].is_null());
  CHECK(j["per_patient"]["auc"].get<double>() > j["auc"].get<double>());  // a mean of three knows more than one
  CHECK(j["warnings"].empty());
  CHECK(Json::parse(j.dump()) == j);
}

TEST_CASE("the bootstrap of an evaluation is the bootstrap by patient") {
  const Predictions p = drawn(30, 2, 1);
  const Evaluation e = evaluate(p, {.bootstrap_replicates = 300, .seed = 9});
  const std::vector<int32_t> labels = p.labels_against(1);
  const std::vector<double> scores = p.scores(1);
  const Ranking ranking(labels, scores);
  const auto r = bootstrap(group_by(p.patients), 1, [&](auto times, auto values) { values[0] = ranking.roc_auc(times); }, {.replicates = 300, .seed = 9});
  CHECK(e.metric("auc").ci95_patient.low == r[0].percentile.low);
  CHECK(e.metric("auc").ci95_patient.high == r[0].percentile.high);
  CHECK(e.metric("accuracy").ci95_patient.width() > 0);
  CHECK_THROWS_AS(e.metric("nothing"), Error);
}

TEST_CASE("the positive class can be either") {
  const Predictions p = drawn(20, 2, 2, false);
  const Evaluation last = evaluate(p, kQuick), first = evaluate(p, {.positive = 0, .bootstrap_replicates = 200});
  CHECK(test::close(last.metric("auc").value, first.metric("auc").value, 0, 1e-14));
  CHECK(last.metric("sensitivity").value == first.metric("specificity").value);  // no score is 0.5
  CHECK(last.matrix.at(1, 1) == first.matrix.at(0, 0));
  CHECK(to_json(first)["positive"] == "A");
  CHECK(to_json(first)["patients"].is_null());
  CHECK(to_json(first)["per_patient"].is_null());
  CHECK(!to_json(first).contains("auc_ci95_patient"));
}

TEST_CASE("three classes are means over classes and each against the rest") {
  const Predictions p = drawn(30, 3, 3);
  const Evaluation e = evaluate(p, kQuick);
  const Json j = to_json(e);
  CHECK(j["threshold"].is_null());
  REQUIRE(j["per_class"].size() == 3);
  double auc = 0, sensitivity = 0;
  for (const Json& one : j["per_class"]) {
    CHECK(one["n"] == 30);
    CHECK(one["auc_ci95"].is_array());
    CHECK(one["sensitivity_ci95"].is_array());
    CHECK(one["tp"].get<int>() + one["fn"].get<int>() == 30);
    auc += one["auc"].get<double>() / 3, sensitivity += one["sensitivity"].get<double>() / 3;
  }
  CHECK(test::close(j["auc"], auc, 0, 1e-14));
  CHECK(test::close(j["balanced_accuracy"], sensitivity, 0, 1e-14));
  CHECK(j["sensitivity"] == j["balanced_accuracy"]);
  for (const char* name : {"accuracy", "auc", "f1", "precision", "specificity", "mcc", "log_loss", "ece_confidence"}) {
    CAPTURE(name);
    const Json ci = j[std::string(name) + "_ci95"];
    REQUIRE(ci.is_array());
    CHECK((ci[0].get<double>() <= j[name].get<double>() && j[name].get<double>() <= ci[1].get<double>()));
  }
  CHECK(j["accuracy_ci95_patient"].is_array());
  CHECK(j["confusion"].size() == 3);
  CHECK(j["per_patient"]["per_class"].size() == 3);
}

TEST_CASE("what is undefined is null and said") {
  Predictions one_class{{"NORMAL", "PNEUMONIA"}, {1, 1, 1}, {0.2, 0.8, 0.6, 0.4, 0.1, 0.9}, {}};
  const Json j = to_json(evaluate(one_class, kQuick));
  for (const char* key : {"auc", "auc_ci95", "auc_ci95_logit", "auc_se", "specificity", "specificity_ci95", "balanced_accuracy", "cohen_kappa", "cohen_kappa_ci95"})
    CHECK_MESSAGE(j[key].is_null(), key);
  CHECK(j["sensitivity"].is_number());
  REQUIRE(j["warnings"].size() == 1);
  CHECK(j["warnings"][0].get<std::string>().find("PNEUMONIA") != std::string::npos);

  Predictions separated{{"a", "b"}, {0, 0, 1, 1}, {0.9, 0.1, 0.8, 0.2, 0.3, 0.7, 0.1, 0.9}, {}};
  const Json s = to_json(evaluate(separated, kQuick));
  CHECK(s["auc"] == 1);
  CHECK(s["auc_ci95"] == Json{1, 1});
  CHECK(s["auc_ci95_logit"].is_null());
  CHECK(s["warnings"].size() == 1);

  Predictions mixed = drawn(10, 2, 4);
  mixed.labels[0] = 1 - mixed.labels[0];
  const Json m = to_json(evaluate(mixed, kQuick));
  CHECK(m["warnings"].dump().find("1 patients") != std::string::npos);

  Predictions absent = drawn(12, 3, 5, false);
  for (int32_t& label : absent.labels) label = std::min(label, 1);
  const Json a = to_json(evaluate(absent, kQuick));
  CHECK(a["per_class"][2]["auc"].is_null());
  CHECK(a["auc"].is_number());
  CHECK(a["warnings"].dump().find("no image is C") != std::string::npos);
}

TEST_CASE("without replicates there are only the intervals that need none") {
  const Json j = to_json(evaluate(drawn(10, 2, 6), {.bootstrap_replicates = 0}));
  CHECK(j["accuracy_ci95"].is_array());
  CHECK(j["auc_ci95"].is_array());
  CHECK(j["f1_ci95"].is_null());
  CHECK(j["ece_positive_ci95"].is_null());
}

TEST_CASE("predictions that are none are refused") {
  const Predictions good = drawn(4, 2, 7);
  CHECK(kind(good) == ErrorKind::leak);
  Predictions p = good;
  p.probabilities[3] = NAN;
  CHECK(kind(p) == ErrorKind::diverged);
  p = good, p.labels[2] = 2;
  CHECK(kind(p) == ErrorKind::failed);
  p = good, p.probabilities.pop_back();
  CHECK(kind(p) == ErrorKind::failed);
  p = good, p.patients.pop_back();
  CHECK(kind(p) == ErrorKind::failed);
  p = good, p.probabilities[0] += 0.1;
  CHECK(kind(p) == ErrorKind::failed);
  p = good, p.probabilities[0] = -0.1, p.probabilities[1] = 1.1;
  CHECK(kind(p) == ErrorKind::failed);
  CHECK(kind({{"a", "b"}, {}, {}, {}}) == ErrorKind::failed);
  CHECK(kind({{"a"}, {0}, {1}, {}}) == ErrorKind::failed);
  CHECK(kind(good, {.positive = 2}) == ErrorKind::usage);
  CHECK(kind(good, {.positive = -2}) == ErrorKind::usage);
  CHECK(kind(good, {.threshold = NAN}) == ErrorKind::usage);
}

}  // namespace ptrain::metrics
