#include <cmath>

#include "kernels/error.hpp"
#include "train/metrics/evaluation.hpp"

namespace ptrain::metrics {
namespace {

using Json = nlohmann::ordered_json;

Json number(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }

void put(Json& to, const std::vector<Metric>& metrics) {
  for (const Metric& m : metrics) {
    to[m.name] = number(m.value);
    to[m.name + "_ci95"] = to_json(m.ci95);
    if (!std::isnan(m.ci95_patient.low)) to[m.name + "_ci95_patient"] = to_json(m.ci95_patient);
  }
}

void put(Json& to, const Confusion& c) { to["tn"] = c.tn, to["fp"] = c.fp, to["fn"] = c.fn, to["tp"] = c.tp; }

Json matrix(const ConfusionMatrix& m) {
  Json rows = Json::array();
  for (int label = 0; label < m.classes(); ++label) {
    Json row = Json::array();
    for (int predicted = 0; predicted < m.classes(); ++predicted) row.push_back(m.at(label, predicted));
    rows.push_back(row);
  }
  return rows;
}

Json how(const Evaluation& e) {
  const std::string drawn = concat("bootstrap by ", e.patients < 0 ? "image" : "patient", ", ", e.options.bootstrap_replicates,
                                   " replicates, seed ", e.options.seed);
  return {{"proportions", "Wilson, images independent"},
          {"auc", "DeLong (Wald), images independent; the logit interval covers better near 1"},
          {"calibration errors", "basic " + drawn + "; from 0 when calibrated scores would show as much"},
          {"others", "percentile " + drawn}};
}

}  // namespace

Json to_json(const Interval& interval) {
  if (std::isnan(interval.low) || std::isnan(interval.high)) return nullptr;
  return Json::array({number(interval.low), number(interval.high)});
}

Json to_json(const Evaluation& e) {
  Json j;
  j["n"] = e.n;
  j["classes"] = e.classes;
  if (e.binary()) {
    j["positive"] = e.classes[size_t(e.options.positive)];
    j["positives"] = e.chosen.confusion.positives();
  }
  j["patients"] = e.patients < 0 ? Json(nullptr) : Json(e.patients);
  j["threshold"] = number(e.chosen.threshold);
  put(j, e.chosen.metrics);
  put(j, e.metrics);
  if (e.binary()) {
    j["auc_ci95_logit"] = to_json(e.auc_ci95_logit);
    j["auc_se"] = number(e.auc_se);
    put(j, e.chosen.confusion);
  } else {  // means over classes under the names that two classes have
    j["sensitivity"] = j["balanced_accuracy"];
    j["sensitivity_ci95"] = j["balanced_accuracy_ci95"];
  }
  j["confusion"] = matrix(e.matrix);
  if (e.binary()) {
    Json plain{{"threshold", e.plain.threshold}};
    put(plain, e.plain.metrics);
    put(plain, e.plain.confusion);
    j["at_0.5"] = std::move(plain);
  } else {
    for (const ClassEvaluation& one : e.per_class) {
      Json row{{"class", one.name}, {"n", one.n}};
      put(row, one.metrics);
      put(row, one.confusion);
      j["per_class"].push_back(std::move(row));
    }
  }
  j["per_patient"] = e.per_patient.empty() ? Json(nullptr) : to_json(e.per_patient[0]);
  j["intervals"] = how(e);
  j["warnings"] = e.warnings;
  return j;
}

}  // namespace ptrain::metrics
