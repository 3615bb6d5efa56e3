#include "train/metrics/evaluation.hpp"

#include <algorithm>
#include <cmath>

#include "train/metrics/binary_statistics.hpp"
#include "train/metrics/bootstrap.hpp"
#include "train/metrics/calibration_error.hpp"
#include "train/metrics/check.hpp"
#include "train/metrics/delong.hpp"
#include "train/metrics/patients.hpp"

namespace ptrain::metrics {
namespace {

// Values and bootstrap intervals of all metrics that `Kind` (BinaryStatistics, MulticlassStatistics) computes.
template <class Kind>
std::vector<Metric> estimate(const Kind& compute, const Groups& groups, bool patients_known, const EvaluationOptions& options) {
  const size_t count = Kind::kNames.size();
  std::vector<double> values(count);
  compute(std::vector<uint32_t>(groups.of_image.size(), 1), values);
  std::vector<BootstrapResult> drawn(count);
  if (options.bootstrap_replicates > 0)
    drawn = bootstrap(groups, count, [&](auto times, auto to) { compute(times, to); },
                      {.replicates = options.bootstrap_replicates, .seed = options.seed});
  std::vector<Metric> metrics;
  for (size_t i = 0; i < count; ++i) {
    Metric m{.name = std::string(Kind::kNames[i]), .value = values[i], .ci95 = drawn[i].percentile, .ci95_patient = {}};
    if (m.name.starts_with("ece"))  // resampling adds noise, which can only raise these: the basic interval takes that back
      m.ci95 = {std::clamp(drawn[i].basic.low, 0.0, 1.0), std::clamp(drawn[i].basic.high, 0.0, 1.0)};
    if (patients_known) m.ci95_patient = drawn[i].percentile;
    metrics.push_back(std::move(m));
  }
  return metrics;
}

Metric& named(std::vector<Metric>& metrics, std::string_view name) {
  return *std::ranges::find_if(metrics, [&](const Metric& m) { return m.name == name; });
}

// Wilson's interval in place of the bootstrap for what is a proportion of images.
void put_wilson(std::vector<Metric>& metrics, const Confusion& c) {
  const auto put = [&](std::string_view name, int64_t successes, int64_t n) { named(metrics, name).ci95 = wilson(successes, n); };
  put("sensitivity", c.tp, c.positives());
  put("specificity", c.tn, c.negatives());
  put("precision", c.tp, c.tp + c.fp);
  put("npv", c.tn, c.tn + c.fn);
}

bool is_proportion(const std::string& name) {
  return name == "accuracy" || name == "sensitivity" || name == "specificity" || name == "precision" || name == "npv" || name == "auc";
}

// The last steps of a calibration error's interval: it holds the estimate, and 0 when calibrated scores show such an error by chance.
void allow_for_chance(Metric& m, std::span<const double> scores, const Groups& groups, const EvaluationOptions& options) {
  if (std::isnan(m.ci95.low)) return;
  m.ci95.high = std::max(m.ci95.high, m.value);
  if (m.value <= chance_calibration_error(scores, groups, 0.975, options.bootstrap_replicates, options.seed)) m.ci95.low = 0;
}

constexpr size_t kDecisionMetrics = 9;  // the first of BinaryStatistics::kNames depend on the threshold

struct BinaryMetrics {
  Decisions decisions;
  std::vector<Metric> others;
};

BinaryMetrics binary_metrics(std::span<const int32_t> labels, std::span<const double> scores, double threshold, const Groups& groups,
                             bool patients_known, const EvaluationOptions& options) {
  const BinaryStatistics compute(labels, scores, threshold);
  const Confusion c = compute.confusion(std::vector<uint32_t>(labels.size(), 1));
  std::vector<Metric> all = estimate(compute, groups, patients_known, options);
  put_wilson(all, c);
  named(all, "accuracy").ci95 = wilson(c.tp + c.tn, c.n());
  named(all, "auc").ci95 = delong(labels, scores).wald;
  std::vector<double> confidence(scores.size());
  std::ranges::transform(scores, confidence.begin(), [](double s) { return std::max(s, 1 - s); });
  allow_for_chance(named(all, "ece_positive"), scores, groups, options);
  allow_for_chance(named(all, "ece_confidence"), confidence, groups, options);
  for (Metric& m : all)
    if (!is_proportion(m.name)) m.ci95_patient = {};  // ci95 is by patient already
  BinaryMetrics r{{threshold, c, {}}, {}};
  r.decisions.metrics.assign(all.begin(), all.begin() + kDecisionMetrics);
  r.others.assign(all.begin() + kDecisionMetrics, all.end());
  return r;
}

void evaluate_binary(Evaluation& e, const Predictions& p, const Groups& groups) {
  const int positive = e.options.positive;
  const std::vector<int32_t> labels = p.labels_against(positive);
  const std::vector<double> scores = p.scores(positive);
  const bool known = !p.patients.empty();
  BinaryMetrics chosen = binary_metrics(labels, scores, e.options.threshold, groups, known, e.options);
  e.plain = e.options.threshold == 0.5 ? chosen.decisions : binary_metrics(labels, scores, 0.5, groups, known, e.options).decisions;
  e.chosen = std::move(chosen.decisions);
  e.metrics = std::move(chosen.others);
  const DelongAuc auc = delong(labels, scores);
  e.auc_ci95_logit = auc.logit, e.auc_se = auc.se;
  const Confusion& c = e.chosen.confusion;
  e.matrix.at(0, 0) = c.tn, e.matrix.at(0, 1) = c.fp, e.matrix.at(1, 0) = c.fn, e.matrix.at(1, 1) = c.tp;

  if (c.positives() == 0 || c.negatives() == 0)
    e.warnings.push_back(concat("all images are ", p.classes[size_t(c.positives() ? positive : 1 - positive)],
                                ": AUC and what compares the classes are undefined"));
  else if (auc.auc == 0 || auc.auc == 1)
    e.warnings.push_back("the scores separate the classes completely, so DeLong's interval of the AUC has no width; that is no certainty");
}

void evaluate_multiclass(Evaluation& e, const Predictions& p, const Groups& groups) {
  const int k = int(p.classes.size());
  e.matrix = confusion_matrix(p.labels, p.most_likely(), k);
  std::vector<Metric> all = estimate(MulticlassStatistics(p), groups, false, e.options);
  Metric& accuracy = named(all, "accuracy");
  if (!p.patients.empty()) accuracy.ci95_patient = accuracy.ci95;
  accuracy.ci95 = wilson(e.matrix.correct(), e.matrix.n());
  std::vector<double> confidence(p.size());
  for (size_t i = 0; i < p.size(); ++i) confidence[i] = std::ranges::max(std::span(p.probabilities).subspan(i * size_t(k), size_t(k)));
  allow_for_chance(named(all, "ece_confidence"), confidence, groups, e.options);
  e.metrics = std::move(all);
  e.chosen.threshold = e.plain.threshold = kUndefined;

  for (int c = 0; c < k; ++c) {
    const std::vector<int32_t> labels = p.labels_against(c);
    const std::vector<double> scores = p.scores(c);
    ClassEvaluation one{p.classes[size_t(c)], e.matrix.labelled(c), e.matrix.one_vs_rest(c), {}};
    const Confusion& m = one.confusion;
    const std::pair<const char*, double> values[] = {{"sensitivity", sensitivity(m)},
                                                     {"specificity", specificity(m)},
                                                     {"precision", precision(m)},
                                                     {"npv", npv(m)},
                                                     {"f1", f1(m)},
                                                     {"auc", roc_auc(labels, scores)},
                                                     {"average_precision", average_precision(labels, scores)}};
    for (const auto& [name, value] : values) one.metrics.push_back({name, value, {}, {}});
    put_wilson(one.metrics, m);
    named(one.metrics, "auc").ci95 = delong(labels, scores).wald;
    if (one.n == 0) e.warnings.push_back(concat("no image is ", one.name, ": means over classes leave it out"));
    e.per_class.push_back(std::move(one));
  }
}

}  // namespace

const Metric& Evaluation::metric(std::string_view name) const {
  for (const std::vector<Metric>* list : {&metrics, &chosen.metrics})
    for (const Metric& m : *list)
      if (m.name == name) return m;
  fail(ErrorKind::failed, "an evaluation has no metric '", name, "'");
}

Evaluation evaluate(const Predictions& p, const EvaluationOptions& options) {
  check(p);
  const int k = int(p.classes.size());
  Evaluation e{.n = int64_t(p.size()), .classes = p.classes, .options = options};
  if (options.positive >= k || options.positive < -1)
    fail(ErrorKind::usage, "class ", options.positive, " cannot be the positive one: there are ", k, " classes");
  if (std::isnan(options.threshold)) fail(ErrorKind::usage, "a threshold that is not a number");
  e.options.positive = k > 2 ? -1 : options.positive < 0 ? k - 1 : options.positive;

  const Groups groups = p.patients.empty() ? each_alone(p.size()) : group_by(p.patients);
  if (k == 2) evaluate_binary(e, p, groups);
  else evaluate_multiclass(e, p, groups);

  if (!p.patients.empty()) {
    e.patients = int64_t(groups.count());
    const PatientCases cases = per_patient(groups, p.labels, p.probabilities, k);
    e.mixed_patients = cases.mixed;
    if (cases.mixed) e.warnings.push_back(concat(cases.mixed, " patients have images of several labels"));
    e.per_patient.push_back(evaluate({p.classes, cases.labels, cases.probabilities, {}}, e.options));
  }
  return e;
}

}  // namespace ptrain::metrics
