#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "data/csv.hpp"
#include "train/metrics/probability.hpp"
#include "train/report/chart.hpp"
#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

constexpr int kBins = 10;

// Two classes: the positive class' probability against its share. More: the confidence in the decision against how often it is right.
struct Events {
  std::vector<int32_t> happened;
  std::vector<double> scores;
};
Events events(const Run& run, const metrics::Predictions& p) {
  if (run.binary()) return {p.labels_against(run.positive()), p.scores(run.positive())};
  Events e;
  const std::vector<int32_t> likely = p.most_likely();
  for (size_t i = 0; i < p.size(); ++i) {
    e.happened.push_back(likely[i] == p.labels[i]);
    e.scores.push_back(p.probabilities[i * p.classes.size() + size_t(likely[i])]);
  }
  return e;
}

std::string reliability_figure(Page& page, const std::string& part, const metrics::Predictions& p) {
  const Run& run = page.run;
  const Events e = events(run, p);
  const std::vector<metrics::ReliabilityBin> bins = metrics::reliability(e.happened, e.scores, kBins);
  const std::string event = run.binary() ? run.classes()[size_t(run.positive())] : "right";
  Chart chart({.label = run.binary() ? "probability of " + event : "confidence in the decision"},
              {.label = run.binary() ? "share of " + event : "share of right decisions"}, 440, 380);
  chart.reference({0, 0}, {1, 1});
  int64_t most = 1;
  for (const auto& b : bins) most = std::max(most, b.n);
  std::vector<Point> line;
  std::string csv = csv_line({"part", "low", "high", "images", "mean_probability", "share", "share_low", "share_high"});
  for (const auto& b : bins) {
    chart.bar(b.low, b.high, 0.18 * double(b.n) / double(most), 5);
    std::vector<std::string> row{part, fmt::format("{:.2f}", b.low), fmt::format("{:.2f}", b.high), fmt::format("{}", b.n)};
    for (const double v : {b.mean_score, b.fraction, b.fraction_ci95.low, b.fraction_ci95.high})
      row.push_back(std::isfinite(v) ? fmt::format("{}", v) : "");
    csv += csv_line(row);
    if (b.n == 0) continue;
    line.push_back({b.mean_score, b.fraction});
    chart.error_bar(line.back(), b.fraction_ci95.low, b.fraction_ci95.high, 0);
  }
  chart.line(line, {.colour = 0, .width = 1.4});
  for (const Point& at : line) chart.mark(at, 0);
  return page.figure("reliability_" + part, chart.svg("Reliability, " + part),
                     "Reliability on the " + part +
                         " part: on the dashed diagonal a probability means what it says. Bars from below count the images (at most " +
                         thousands(most) + " in one bin); intervals are Wilson’s.",
                     csv);
}

}  // namespace

std::string calibration_section(Page& page) {
  const Run& run = page.run;
  const Json& all = run.all;
  std::string out;
  if (at(all, "/calibration").is_object()) {
    Table t{.titles = {"on the validation part", "before", "after"}, .rows = {}};
    const auto row = [&](const std::string& name, const std::string& before, const std::string& after) {
      if (number(all, before) != "–") t.rows.push_back({name, number(all, before, 4), number(all, after, 4)});
    };
    row("log loss", "/calibration/nll_before", "/calibration/nll_after");
    row("calibration error (ECE)", "/calibration/ece_before", "/calibration/ece_after");
    const double temperature = real(all, "/calibration/temperature");
    if (temperature == 1 && t.rows.empty()) out += absent("The probabilities are those of the net: no temperature was fitted.");
    else
      out += "<p>Scores are divided by the temperature " + number(all, "/calibration/temperature") +
             " (above 1: the net was too sure of itself). It was fitted on the validation part.</p>\n" + (t.rows.empty() ? "" : t.html());
    if (const Json& shift = at(all, "/calibration/prior_shift"); shift.is_object()) {
      std::vector<std::string> shares;
      for (const auto& [c, v] : at(shift, "/priors").items())
        shares.push_back(escape(c) + " " + fixed(v.is_number() ? v.get<double>() : std::nan(""), 3));
      out += fmt::format(
          "<p>Class shares of the test images, as EM estimates them from the probabilities alone, without labels: {} (p {} that they are "
          "those the training saw, class weights included). They are shown and not "
          "applied: an estimate far from the shares in “The data” means that these films are of another kind, which no change of shares "
          "mends.</p>\n",
          fmt::join(shares, ", "), real(shift, "/p") < 0.001 ? "&lt; 0.001" : "= " + number(all, "/calibration/prior_shift/p"));
    }
  }
  std::string figures;
  if (run.test) figures += reliability_figure(page, "test", run.test->predictions);
  if (run.validation) figures += reliability_figure(page, "validation", run.validation->predictions);
  return out + (figures.empty() ? absent("No reliability diagram: the run has no predictions of single images.")
                                : "<div class=\"pair\">\n" + figures + "</div>\n");
}

}  // namespace ptrain::report
