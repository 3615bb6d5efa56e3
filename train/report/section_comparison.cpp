#include <algorithm>
#include <cmath>
#include <filesystem>

#include <fmt/format.h>

#include "data/csv.hpp"
#include "train/report/chart.hpp"
#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

std::string p_value(double p) { return !std::isfinite(p) ? "–" : p < 0.001 ? "&lt; 0.001" : fmt::format("{:.3f}", p); }

std::string weights_of(const Json& net) {
  const std::string kind = text(net, "/kind");
  return kind == "pretrained" ? "<code>" + escape(std::filesystem::path(text(net, "/weights")).filename().string()) +
                                    "</code>, ImageNet or other trained weights"
         : kind == "formula" ? "a formula, <b>not trained</b>"
         : kind == "none"    ? "random, <b>not trained</b>"
                             : escape(kind);
}

// Nets that could not be compared, with what gets their weights.
std::string missing(const Json& nets) {
  std::string out;
  for (const Json& net : nets)
    if (text(net, "/status") == "missing")
      out += "<li><b>" + escape(text(net, "/net")) + "</b>: no weights" +
             (text(net, "/get").empty() ? "" : "; get them with <code>" + escape(text(net, "/get")) + "</code>") + "</li>\n";
  return out.empty() ? "" : "<p>Not compared:</p>\n<ul>" + out + "</ul>\n";
}

std::string quality_table(const Run& run, const Json& nets, const std::string& part, const std::string& title) {
  Table t{.titles = {"net", "AUC", "accuracy", "sensitivity", "specificity"}, .rows = {}, .caption = title};
  for (size_t i = 0; i < nets.size(); ++i) {
    const std::string base = fmt::format("/compare/nets/{}", i);
    if (text(run.all, base + "/status") == "missing") continue;
    std::vector<std::string> row{escape(text(run.all, base + "/net"))};
    for (const char* metric : {"/auc", "/accuracy", "/sensitivity", "/specificity"})
      row.push_back(with_interval(run.all, base + "/" + part + metric));
    t.rows.push_back(std::move(row));
  }
  return t.html();
}

std::string cost_table(const Run& run, const Json& nets) {
  Table t{
      .titles = {"net", "weights", "parameters", "multiply-adds", "epochs", "time", "images/s", "memory"}, .rows = {}, .text_columns = 2};
  for (size_t i = 0; i < nets.size(); ++i) {
    const std::string base = fmt::format("/compare/nets/{}", i);
    if (text(run.all, base + "/status") == "missing") continue;
    const double macs = real(run.all, base + "/macs"), seconds = real(run.all, base + "/seconds"),
                 memory = real(run.all, base + "/peak_mb");
    t.rows.push_back({escape(text(run.all, base + "/net")), weights_of(nets[i]), number(run.all, base + "/parameters"),
                      std::isfinite(macs) ? fmt::format("{:.2f}\u202fG", macs / 1e9) : "–", number(run.all, base + "/epochs"),
                      duration(seconds), number(run.all, base + "/images_per_s", 1),
                      std::isfinite(memory) ? fmt::format("{:.0f} MB", memory) : "–"});
  }
  return t.html();
}

std::string nets_forest(Page& page, const Json& nets) {
  std::vector<ForestRow> rows;
  std::string csv = csv_line({"net", "metric", "value", "low", "high", "chosen"});
  const std::string chosen = text(page.run.all, "/choice/net");
  double low = 1;
  for (const auto& [metric, title] : {std::pair<std::string, std::string>("auc", "AUC"), {"accuracy", "accuracy"}})
    for (size_t i = 0; i < nets.size(); ++i) {
      const std::string base = fmt::format("/compare/nets/{}", i), key = base + "/val/" + metric;
      const double value = real(page.run.all, key);
      if (!std::isfinite(value)) continue;
      const ForestRow row{.label = text(page.run.all, base + "/net"),
                          .value = value,
                          .low = real(page.run.all, key + "_ci95/0"),
                          .high = real(page.run.all, key + "_ci95/1"),
                          .colour = metric == "auc" ? 0 : 1,
                          .strong = text(page.run.all, base + "/net") == chosen,
                          .group = title + " on the validation part"};
      low = std::min(low, std::isfinite(row.low) ? row.low : value);
      csv += csv_line(
          {row.label, metric, fmt::format("{}", value), fmt::format("{}", row.low), fmt::format("{}", row.high), row.strong ? "1" : "0"});
      rows.push_back(row);
    }
  if (rows.empty()) return "";
  return page.figure("nets",
                     forest(rows, {.label = "", .low = std::floor(low * 20 - 0.2) / 20, .high = 1, .ticks = 4}, std::nan(""),
                            "AUC and accuracy of each net"),
                     "Each net with its 95 % interval; a diamond marks the one that was chosen.", csv);
}

std::string pairs(Page& page) {
  const Json& list = at(page.run.all, "/compare/pairs");
  if (!list.is_array() || list.empty()) return "";
  std::vector<ForestRow> rows;
  std::string csv = csv_line({"a", "b", "auc_difference", "low", "high", "delong_p", "delong_p_holm", "mcnemar_p", "mcnemar_p_holm"});
  Table t{.titles = {"pair", "AUC difference", "DeLong p", "after Holm", "accuracy difference", "McNemar p", "after Holm", "told apart?"},
          .rows = {}};
  double most = 0.01;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json& pair = list[i];
    const std::string base = fmt::format("/compare/pairs/{}", i), name = text(pair, "/a") + " − " + text(pair, "/b");
    const ForestRow row{.label = "",
                        .value = real(pair, "/auc_difference"),
                        .low = real(pair, "/auc_difference_ci95/0"),
                        .high = real(pair, "/auc_difference_ci95/1"),
                        .colour = real(pair, "/delong_p_holm") < 0.05 ? 1 : 0,
                        .group = name};
    for (const double v : {row.low, row.high, row.value})
      if (std::isfinite(v)) most = std::max(most, std::fabs(v));
    rows.push_back(row);
    const double auc_p = real(pair, "/delong_p_holm"), accuracy_p = real(pair, "/mcnemar_p_holm");
    std::string verdict = auc_p < 0.05 ? "by AUC" : "";
    if (accuracy_p < 0.05) verdict += verdict.empty() ? "by accuracy" : " and accuracy";
    t.rows.push_back({escape(name), with_interval(page.run.all, base + "/auc_difference", 4), p_value(real(pair, "/delong_p")),
                      p_value(auc_p), number(page.run.all, base + "/accuracy_difference", 4), p_value(real(pair, "/mcnemar_p")),
                      p_value(accuracy_p), verdict.empty() ? "no: inside the noise" : "<b>" + verdict + "</b>"});
    std::vector<std::string> line{text(pair, "/a"), text(pair, "/b")};
    for (const double v : {row.value, row.low, row.high, real(pair, "/delong_p"), auc_p, real(pair, "/mcnemar_p"), accuracy_p})
      line.push_back(std::isfinite(v) ? fmt::format("{}", v) : "");
    csv += csv_line(line);
  }
  return "<h3>Which differences are real?</h3>\n<p>Every pair on the same validation images. Holm's correction keeps the chance that any "
         "of these verdicts is wrong below 5 %.</p>\n" +
         t.html() +
         page.figure("pairs",
                     forest(rows, {.label = "difference of the AUC", .low = -1.08 * most, .high = 1.08 * most, .ticks = 5}, 0,
                            "Differences of the AUC between nets"),
                     "Paired differences with 95 % intervals, before correction; orange where Holm's corrected p is below 0.05.", csv);
}

}  // namespace

std::string comparison_section(Page& page) {
  const Run& run = page.run;
  const Json& nets = at(run.all, "/compare/nets");
  if (!nets.is_array() || nets.empty())
    return absent("No nets were compared: " +
                  std::string(run.experiment
                                  ? "the experiment had no such step."
                                  : "this was one training. <code>ptrain compare</code> and <code>ptrain experiment</code> do it."));
  std::string out =
      "<p>The base of each net stays as it is; the same head is trained on it, with the same images, augmentation, class weights and early "
      "stopping.</p>\n";
  bool untrained = false;
  for (const Json& net : nets) untrained |= text(net, "/status") != "missing" && text(net, "/kind") != "pretrained";
  if (untrained)
    out += warning("At least one net ran without trained weights. Its row shows that the machinery works; it says nothing about the net.");
  out += missing(nets) + nets_forest(page, nets);
  out +=
      quality_table(run, nets, "val", "<b>Validation</b>, 95 % intervals") +
      quality_table(run, nets, "train", "<b>Training images</b>, without augmentation: far better here than above means learnt by heart");
  out += "<h3>What they cost</h3>\n" + cost_table(run, nets) + pairs(page);
  if (const std::string net = text(run.all, "/choice/net"); !net.empty()) {
    const std::string why = text(run.all, "/choice/why");
    out += "<h3>The choice</h3>\n<p>" +
           (why.starts_with(net) ? "<b>" + escape(net) + "</b>" + escape(why.substr(net.size()))
                                 : "<b>" + escape(net) + "</b>: " + escape(why)) +
           "</p>\n";
    std::string tied;
    for (const Json& one : at(run.all, "/choice/tied"))
      if (one.is_string() && one != Json(net)) tied += (tied.empty() ? "" : ", ") + escape(one.get<std::string>());
    if (!tied.empty()) out += "<p>Cannot be told apart from the best: " + tied + ".</p>\n";
  }
  return out;
}

}  // namespace ptrain::report
