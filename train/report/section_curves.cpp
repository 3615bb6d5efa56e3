#include <cmath>

#include <fmt/format.h>

#include "data/csv.hpp"
#include "train/metrics/confusion.hpp"
#include "train/metrics/curves.hpp"
#include "train/report/bands.hpp"
#include "train/report/chart.hpp"
#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

struct Part {
  std::string name;
  const metrics::Predictions* p;
  int colour;
};

std::vector<Part> parts(const Run& run) {
  std::vector<Part> list;
  if (run.test) list.push_back({"test", &run.test->predictions, 0});
  if (run.validation) list.push_back({"validation", &run.validation->predictions, 1});
  return list;
}

std::string cell(double v) { return std::isfinite(v) ? fmt::format("{}", v) : ""; }

void add_rows(std::string& csv, const std::string& part, const std::string& of_class, const Band& b) {
  for (size_t i = 0; i < b.x.size(); ++i) csv += csv_line({part, of_class, cell(b.x[i]), cell(b.y[i]), cell(b.low[i]), cell(b.high[i])});
}

void draw_band(Chart& chart, const Band& b, int colour) {
  std::vector<Point> low, high;
  for (size_t i = 0; i < b.x.size(); ++i) low.push_back({b.x[i], b.low[i]}), high.push_back({b.x[i], b.high[i]});
  chart.band(low, high, colour);
}

std::vector<Point> roc_points(std::span<const int32_t> labels, std::span<const double> scores) {
  const metrics::RocCurve roc = metrics::roc_curve(labels, scores);
  std::vector<Point> points;
  for (size_t i = 0; i < roc.fpr.size(); ++i) points.push_back({roc.fpr[i], roc.tpr[i]});
  return points;
}

// From recall 0 on, as steps: between two thresholds no precision is reached.
std::vector<Point> precision_points(std::span<const int32_t> labels, std::span<const double> scores) {
  const metrics::PrecisionRecallCurve pr = metrics::precision_recall_curve(labels, scores);
  std::vector<Point> points;
  for (size_t i = pr.thresholds.size(); i-- > 0;) {
    if (!points.empty()) points.push_back({points.back().x, pr.precision[i]});
    else points.push_back({0, pr.precision[i]});
    points.push_back({pr.recall[i], pr.precision[i]});
  }
  return points;
}

std::string auc_label(const Run& run, const std::string& part, const char* metric, const char* shown) {
  const double v = real(run.all, "/" + part + "/" + metric);
  return std::isfinite(v) ? fmt::format("{} ({} {})", part, shown, fixed(v, 3)) : part;
}

std::string binary(Page& page) {
  const Run& run = page.run;
  const int positive = run.positive();
  Chart roc({.label = "1 − specificity"}, {.label = "sensitivity"}, 440, 400),
      pr({.label = "recall (sensitivity)"}, {.label = "precision (PPV)"}, 440, 400);
  std::string roc_csv = csv_line({"part", "class", "one_minus_specificity", "sensitivity", "low", "high"}),
              pr_csv = csv_line({"part", "class", "recall", "precision", "low", "high"});
  roc.reference({0, 0}, {1, 1});
  const std::vector<Part> list = parts(run);
  bool first = true;
  for (const Part& part : list) {
    const std::vector<int32_t> labels = part.p->labels_against(positive);
    const std::vector<double> scores = part.p->scores(positive);
    const Band r = roc_band(labels, scores, part.p->patients), q = precision_recall_band(labels, scores, part.p->patients);
    add_rows(roc_csv, part.name, run.classes()[size_t(positive)], r);
    add_rows(pr_csv, part.name, run.classes()[size_t(positive)], q);
    if (first) draw_band(roc, r, part.colour), draw_band(pr, q, part.colour);
    const Look look{.colour = part.colour, .dashed = !first, .width = first ? 2.4 : 1.8};
    roc.line(roc_points(labels, scores), look, auc_label(run, part.name == "test" ? "test" : "validation", "auc", "AUC"));
    pr.line(precision_points(labels, scores), look,
            auc_label(run, part.name == "test" ? "test" : "validation", "average_precision", "average precision"));
    first = false;
  }
  // The two operating points, on the curve that has the band.
  const Part& shown = list.front();
  const std::vector<int32_t> labels = shown.p->labels_against(positive);
  const std::vector<double> scores = shown.p->scores(positive);
  const auto mark = [&](double threshold, const std::string& label, int colour, int shape) {
    if (!std::isfinite(threshold)) return;
    const metrics::Confusion c = metrics::confusion_at(labels, scores, threshold);
    roc.mark({1 - metrics::specificity(c), metrics::sensitivity(c)}, colour, label, shape);
    pr.mark({metrics::sensitivity(c), metrics::precision(c)}, colour, label, shape);
  };
  mark(0.5, "threshold 0.5", 3, 2);
  mark(run.threshold(), "chosen threshold " + fixed(run.threshold(), 3), 2, 1);
  double prevalence = 0;
  for (const int32_t l : labels) prevalence += l;
  prevalence /= double(labels.size());
  pr.reference({0, prevalence}, {1, prevalence});
  const std::string band =
      " The band is a pointwise 95 % interval" + std::string(shown.p->patients.empty() ? "" : ", drawn by patient") + ".";
  return "<div class=\"pair\">\n" + page.figure("roc", roc.svg("ROC curve"), "ROC." + band + " The dashed diagonal is chance.", roc_csv) +
         page.figure("precision_recall", pr.svg("Precision-recall curve"),
                     "Precision–recall." + band +
                         fmt::format(" The dashed line is the share of {} among these images.", escape(run.classes()[size_t(positive)])),
                     pr_csv) +
         "</div>\n";
}

// More than two classes: each against all others.
std::string one_against_rest(Page& page) {
  const Run& run = page.run;
  const Part shown = parts(run).front();
  Chart roc({.label = "1 − specificity"}, {.label = "sensitivity"}, 440, 400), pr({.label = "recall"}, {.label = "precision"}, 440, 400);
  std::string roc_csv = csv_line({"part", "class", "one_minus_specificity", "sensitivity", "low", "high"}),
              pr_csv = csv_line({"part", "class", "recall", "precision", "low", "high"});
  roc.reference({0, 0}, {1, 1});
  const std::vector<std::string> classes = run.classes();
  for (size_t c = 0; c < classes.size(); ++c) {
    const std::vector<int32_t> labels = shown.p->labels_against(int(c));
    const std::vector<double> scores = shown.p->scores(int(c));
    add_rows(roc_csv, shown.name, classes[c], roc_band(labels, scores, shown.p->patients));
    add_rows(pr_csv, shown.name, classes[c], precision_recall_band(labels, scores, shown.p->patients));
    if (c >= 6) continue;  // as many as there are colours
    const Look look{.colour = int(c), .dashed = c % 2 == 1};
    roc.line(roc_points(labels, scores), look, classes[c]);
    pr.line(precision_points(labels, scores), look, classes[c]);
  }
  const std::string which = " Each class against all others, on the " + shown.name + " part" +
                            (classes.size() > 6 ? "; the first six are drawn, all are in the table" : "") + ".";
  return "<div class=\"pair\">\n" + page.figure("roc", roc.svg("ROC curves"), "ROC." + which, roc_csv) +
         page.figure("precision_recall", pr.svg("Precision-recall curves"), "Precision–recall." + which, pr_csv) + "</div>\n";
}

}  // namespace

std::string curves_section(Page& page) {
  if (parts(page.run).empty())
    return absent("No curves: the run has no predictions of single images, and its images or its model are not where they were.");
  return page.run.binary() ? binary(page) : one_against_rest(page);
}

}  // namespace ptrain::report
