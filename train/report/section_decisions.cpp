#include <cmath>

#include <fmt/format.h>

#include "data/csv.hpp"
#include "train/metrics/confusion.hpp"
#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

using Counts = std::vector<std::vector<int64_t>>;  // [label][decision]

// Rows are what the image is, columns what was decided; the colour is the share of the row.
std::string matrix(const std::vector<std::string>& classes, const Counts& counts) {
  std::string out = "<table class=\"confusion\"><thead><tr><th></th>";
  for (const std::string& c : classes) out += "<th scope=\"col\">decided<br>" + escape(c) + "</th>";
  out += "</tr></thead><tbody>";
  for (size_t label = 0; label < classes.size(); ++label) {
    int64_t total = 0;
    for (const int64_t n : counts[label]) total += n;
    out += "<tr><th scope=\"row\">is " + escape(classes[label]) + "</th>";
    for (size_t decision = 0; decision < classes.size(); ++decision) {
      const double share = total > 0 ? double(counts[label][decision]) / double(total) : 0;
      out += fmt::format("<td style=\"--share:{:.3f};--cell:var(--c{})\"><b>{}</b><small>{:.1f} %</small></td>", share,
                         label == decision ? 0 : 1, thousands(counts[label][decision]), 100 * share);
    }
    out += "</tr>";
  }
  return out + "</tbody></table>\n";
}

std::string table_of(const std::vector<std::string>& classes, const Counts& counts) {
  std::string csv = csv_line({"is", "decided", "images"});
  for (size_t l = 0; l < classes.size(); ++l)
    for (size_t d = 0; d < classes.size(); ++d) csv += csv_line({classes[l], classes[d], fmt::format("{}", counts[l][d])});
  return csv;
}

// [[tn, fp], [fn, tp]] of report.json in the order of the classes.
Counts two_by_two(const Json& all, const std::string& base, int positive) {
  const auto n = [&](const char* key) { return int64_t(real(all, base + "/" + key)); };
  Counts c(2, std::vector<int64_t>(2));
  const size_t p = size_t(positive), q = 1 - p;
  c[q][q] = n("tn"), c[q][p] = n("fp"), c[p][q] = n("fn"), c[p][p] = n("tp");
  return c;
}

std::string confusions(Page& page, const std::string& part, const std::string& title) {
  const Run& run = page.run;
  const Json& all = run.all;
  const std::string base = "/" + part;
  if (!at(all, base).is_object()) return "";
  const std::vector<std::string> classes = run.classes();
  std::string out = "<h3>" + title + "</h3>\n<div class=\"pair\">\n";
  if (run.binary()) {
    const auto one = [&](const std::string& where, const std::string& name, const std::string& caption) {
      if (!at(all, where + "/tp").is_number()) return;
      const Counts c = two_by_two(all, where, run.positive());
      out += page.figure("confusion_" + part + name, matrix(classes, c), caption, table_of(classes, c));
    };
    one(base + "/at_0.5", "_at_0.5", "At threshold 0.5.");
    one(base, "", "At the chosen threshold, " + number(all, base + "/threshold") + ".");
  } else if (const Json& rows = at(all, base + "/confusion"); rows.is_array() && rows.size() == classes.size()) {
    Counts c(classes.size(), std::vector<int64_t>(classes.size()));
    for (size_t l = 0; l < classes.size(); ++l)
      for (size_t d = 0; d < classes.size(); ++d) c[l][d] = int64_t(real(rows, fmt::format("/{}/{}", l, d)));
    out += page.figure("confusion_" + part, matrix(classes, c), "By the most likely class.", table_of(classes, c));
  }
  return out + "</div>\n";
}

// One row a metric, one column a part and threshold.
std::string metrics_table(const Run& run) {
  struct Column {
    std::string title, base;
  };
  std::vector<Column> columns;
  for (const auto& [part, name] : {std::pair("test", "test"), std::pair("validation", "validation")}) {
    const std::string base = std::string("/") + part;
    if (!at(run.all, base).is_object()) continue;
    columns.push_back({std::string(name) + (run.binary() ? ", chosen threshold" : ""), base});
    if (run.binary()) columns.push_back({std::string(name) + ", threshold 0.5", base + "/at_0.5"});
    if (at(run.all, base + "/per_patient").is_object()) columns.push_back({std::string(name) + ", per patient", base + "/per_patient"});
  }
  if (columns.empty()) return "";
  Table t{
      .titles = {"metric"},
      .rows = {},
      .caption =
          run.binary()
              ? "All metrics with their 95 % intervals. A patient counts with the mean probability of the images, at the chosen threshold."
              : "All metrics with their 95 % intervals. A patient counts with the mean probabilities of the images."};
  for (const Column& c : columns) t.titles.push_back(c.title);
  for (const auto& [key, name] :
       std::vector<std::pair<std::string, std::string>>{{"accuracy", "accuracy"},
                                                        {"balanced_accuracy", "balanced accuracy"},
                                                        {"auc", "AUC"},
                                                        {"average_precision", "average precision"},
                                                        {"sensitivity", "sensitivity"},
                                                        {"specificity", "specificity"},
                                                        {"precision", "PPV (precision)"},
                                                        {"npv", "NPV"},
                                                        {"f1", "F1"},
                                                        {"mcc", "MCC"},
                                                        {"cohen_kappa", "Cohen’s κ"},
                                                        {"brier", "Brier score"},
                                                        {"log_loss", "log loss"},
                                                        {"ece_positive", "calibration error (ECE)"},
                                                        {"ece_confidence", "calibration error of the decision"}}) {
    std::vector<std::string> row{name};
    bool any = false;
    for (const Column& c : columns) {
      row.push_back(with_interval(run.all, c.base + "/" + key));
      any |= row.back() != "–";
    }
    if (any) t.rows.push_back(std::move(row));
  }
  return t.html();
}

std::string per_class(const Run& run, const std::string& part) {
  const Json& list = at(run.all, "/" + part + "/per_class");
  if (!list.is_array() || list.empty()) return "";
  Table t{.titles = {"class", "images", "AUC", "average precision", "sensitivity", "specificity", "PPV", "NPV", "F1"},
          .rows = {},
          .caption = "Each class against all others, " + part};
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string base = fmt::format("/{}/per_class/{}", part, i);
    std::vector<std::string> row{escape(text(run.all, base + "/class")), number(run.all, base + "/n")};
    for (const char* metric : {"/auc", "/average_precision", "/sensitivity", "/specificity", "/precision", "/npv", "/f1"})
      row.push_back(with_interval(run.all, base + metric));
    t.rows.push_back(std::move(row));
  }
  return t.html();
}

std::string warnings(const Run& run) {
  std::string out;
  for (const char* part : {"test", "validation"})
    for (const Json& w : at(run.all, std::string("/") + part + "/warnings"))
      if (w.is_string()) out += "<li>" + std::string(part) + ": " + escape(w.get<std::string>()) + "</li>";
  return out.empty() ? "" : "<h3>To know when reading these numbers</h3>\n<ul>" + out + "</ul>\n";
}

}  // namespace

std::string decisions_section(Page& page) {
  const Run& run = page.run;
  const std::string test = confusions(page, "test", "Test part"), validation = confusions(page, "validation", "Validation part");
  if (test.empty() && validation.empty()) return absent("The run has no evaluation.");
  std::string out;
  if (run.binary()) {
    const std::string name = escape(run.classes()[size_t(run.positive())]);
    out = "<p>The positive class is <b>" + name + "</b>: sensitivity is the share of " + name +
          " images that are found. The threshold was chosen on the validation part.</p>\n";
  }
  out += test.empty() ? absent(no_test(run)) : test;
  out += validation + "<h3>In numbers</h3>\n" + metrics_table(run) + per_class(run, "test") + per_class(run, "validation") + warnings(run);
  if (const Json& how = at(run.all, at(run.all, "/test").is_object() ? "/test/intervals" : "/validation/intervals"); how.is_object()) {
    out += "<p class=\"note\">Intervals: ";
    bool first = true;
    for (const auto& [what, method] : how.items()) {
      out += (first ? "" : "; ") + escape(what) + ": " + escape(method.is_string() ? method.get<std::string>() : method.dump());
      first = false;
    }
    out += ".</p>\n";
  }
  return out;
}

}  // namespace ptrain::report
