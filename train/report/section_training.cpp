#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "data/csv.hpp"
#include "train/report/chart.hpp"
#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

struct Curve {
  std::string label;
  double Epoch::*value;
  Look look;
};

// Both stages one after the other; a vertical line where the second begins, a diamond at each chosen epoch.
std::string curves(const Run& run, const std::string& axis, std::vector<Curve> which, const std::string& title) {
  double low = INFINITY, high = -INFINITY, epochs = 0;
  for (const auto& stage : run.stages) {
    epochs += double(stage.size());
    for (const Epoch& e : stage)
      for (const Curve& c : which)
        if (std::isfinite(e.*c.value)) low = std::min(low, e.*c.value), high = std::max(high, e.*c.value);
  }
  if (!(high >= low)) return "";
  const double room = std::max(0.06 * (high - low), 1e-3);
  Chart chart({.label = "epoch", .low = 0.5, .high = epochs + 0.5, .ticks = int(std::min(8.0, epochs))},
              {.label = axis, .low = low - room, .high = high + room});
  double first = 1;
  for (const auto& stage : run.stages) {
    if (first > 1) chart.vertical(first - 0.5, stage.front().stage);
    first += double(stage.size());
  }
  for (const Curve& c : which) {
    first = 1;
    bool labelled = false;
    for (const auto& stage : run.stages) {
      std::vector<Point> points;
      for (size_t i = 0; i < stage.size(); ++i) points.push_back({first + double(i), stage[i].*c.value});
      chart.line(points, c.look, labelled ? "" : c.label);
      if (points.size() == 1) chart.mark(points[0], c.look.colour);
      labelled = true;
      first += double(stage.size());
    }
  }
  bool labelled = false;
  first = 1;
  for (const auto& stage : run.stages) {
    for (size_t i = 0; i < stage.size(); ++i)
      if (stage[i].chosen) {
        chart.mark({first + double(i), stage[i].*which.back().value}, which.back().look.colour, labelled ? "" : "chosen epoch", 1);
        labelled = true;
      }
    first += double(stage.size());
  }
  return chart.svg(title);
}

}  // namespace

std::string training_section(Page& page) {
  const Run& run = page.run;
  if (run.stages.empty()) return absent("The run has no history (metrics.jsonl).");
  std::string csv = csv_line({"epoch", "stage", "loss", "val_loss", "accuracy", "val_accuracy", "auc", "val_auc", "learning_rate",
                              "seconds", "chosen"}),
              list;
  int64_t number_of = 0;
  for (const auto& stage : run.stages) {
    double seconds = 0;
    std::string chosen;
    for (size_t i = 0; i < stage.size(); ++i) {
      const Epoch& e = stage[i];
      std::vector<std::string> row{fmt::format("{}", ++number_of), e.stage};
      for (const double v : {e.loss, e.val_loss, e.accuracy, e.val_accuracy, e.auc, e.val_auc, e.learning_rate, e.seconds})
        row.push_back(std::isfinite(v) ? fmt::format("{}", v) : "");
      row.push_back(e.chosen ? "1" : "0");
      csv += csv_line(row);
      seconds += std::isfinite(e.seconds) ? e.seconds : 0;
      if (e.chosen)
        chosen = fmt::format("; epoch {} was chosen (validation loss {}, AUC {})", number_of, fixed(e.val_loss, 4), fixed(e.val_auc, 4));
    }
    if (stage.front().stage == "fine-tune" && at(run.all, "/fine_tune/kept") == Json(false)) chosen += "; this model was not kept";
    list += fmt::format("<li><b>{}</b>: {} epoch{} in {}{}</li>", escape(stage.front().stage), stage.size(), stage.size() == 1 ? "" : "s",
                        duration(seconds), chosen);
  }
  std::string out = "<ul>" + list + "</ul>\n<div class=\"pair\">\n";
  const Look train{.colour = 1, .dashed = true}, val{.colour = 0};
  if (const std::string c =
          curves(run, "loss", {{"training", &Epoch::loss, train}, {"validation", &Epoch::val_loss, val}}, "Loss by epoch");
      !c.empty())
    out += page.figure(
        "loss", c, "Loss. The training images are augmented and dropout is on, so their loss may lie above that of the validation images.",
        csv);
  if (const std::string c = curves(run, "AUC", {{"training", &Epoch::auc, train}, {"validation", &Epoch::val_auc, val}}, "AUC by epoch");
      !c.empty())
    out += page.figure("auc", c, "Area under the ROC curve.", csv);
  if (const std::string c =
          curves(run, "accuracy", {{"training", &Epoch::accuracy, train}, {"validation", &Epoch::val_accuracy, val}}, "Accuracy by epoch");
      !c.empty())
    out += page.figure("accuracy", c, "Accuracy of the most likely class.", csv);
  out += "</div>\n";
  const Json& fine = at(run.all, "/fine_tune");
  if (run.experiment && !fine.is_object()) return out + absent("There was no fine-tuning.");
  if (!fine.is_object()) return out;
  Table t{.titles = {"validation", "AUC", "accuracy", "sensitivity", "specificity"}, .rows = {}};
  for (const auto& [name, key] : {std::pair("before fine-tuning", "/fine_tune/before"), std::pair("after", "/fine_tune/after")}) {
    if (!at(run.all, key).is_object()) continue;
    std::vector<std::string> row{name};
    for (const char* metric : {"/auc", "/accuracy", "/sensitivity", "/specificity"})
      row.push_back(with_interval(run.all, std::string(key) + metric));
    t.rows.push_back(std::move(row));
  }
  out += "<h3>Did fine-tuning help?</h3>\n" + t.html();
  if (std::isfinite(real(run.all, "/fine_tune/auc_difference")))
    out += "<p>Difference of the AUC " + with_interval(run.all, "/fine_tune/auc_difference", 4) +
           ", p = " + number(run.all, "/fine_tune/delong_p") + " (DeLong, paired).</p>\n";
  if (at(fine, "/rail").is_object()) {
    const auto verdict = [&](const char* key) { return at(fine, key) == Json(true) ? "holds" : "<b>does not hold</b>"; };
    Table rail{.titles = {"safety rail", "before", "after", "difference", "standard error", "verdict"}, .rows = {}};
    rail.rows.push_back({"AUC is not lower", number(run.all, "/fine_tune/rail/auc_before", 4),
                         number(run.all, "/fine_tune/rail/auc_after", 4), "", "", verdict("/rail/auc_holds")});
    rail.rows.push_back({"log loss is not higher by more than a standard error", number(run.all, "/fine_tune/rail/log_loss_before", 4),
                         number(run.all, "/fine_tune/rail/log_loss_after", 4), number(run.all, "/fine_tune/rail/log_loss_difference", 4),
                         number(run.all, "/fine_tune/rail/log_loss_standard_error", 4), verdict("/rail/log_loss_holds")});
    out += rail.html() +
           "<p class=\"note\">Both must hold for fine-tuning to be kept. Log losses on validation, each model at its own temperature; the "
           "standard error is that of the paired difference, by patient.</p>\n";
  }
  if (at(fine, "/kept").is_boolean())
    return out + (at(fine, "/kept") == Json(true) ? "<p><b>Fine-tuning was kept.</b></p>\n"
                                                  : "<p><b>Fine-tuning was not kept:</b> the model before it is the result.</p>\n");
  if (const std::string why = text(fine, "/why"); !why.empty()) out += "<p>" + escape(why) + "</p>\n";
  return out;
}

}  // namespace ptrain::report
