#include <cmath>

#include <fmt/format.h>

#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

std::string tile(const Json& all, const std::string& pointer, const std::string& what) {
  std::string value = number(all, pointer);
  if (value == "–") return "";
  const Json& ci = at(all, pointer + "_ci95");
  std::string interval;
  if (ci.is_array() && ci.size() == 2)
    interval =
        fmt::format("<span class=\"ci\">95 % interval {} to {}</span>", number(all, pointer + "_ci95/0"), number(all, pointer + "_ci95/1"));
  return fmt::format("<div class=\"tile\"><b>{}</b><span class=\"what\">{}</span>{}</div>", value, what, interval);
}

std::string tiles(const Run& run, const std::string& part, const std::string& of) {
  const Json& all = run.all;
  std::string out;
  out += tile(all, part + "/auc", "AUC, " + of);
  out += tile(all, part + "/accuracy", "accuracy, " + of);
  out += tile(all, part + "/sensitivity",
              (run.binary() ? "sensitivity for " + escape(run.classes()[size_t(run.positive())]) : "mean sensitivity") + ", " + of);
  out += tile(all, part + "/specificity", "specificity, " + of);
  return out.empty() ? "" : "<div class=\"tiles\">" + out + "</div>\n";
}

std::string count(const Json& all, const std::string& part) {
  const std::string n = number(all, "/data/parts/" + part + "/n"), patients = number(all, "/data/parts/" + part + "/patients");
  return n == "–" ? "" : n + " images" + (patients == "–" ? "" : " of " + patients + " patients");
}

// What was done, one step a line.
std::string steps(const Run& run) {
  const Json& all = run.all;
  std::string out;
  const auto step = [&](const std::string& html) { out += "<li>" + html + "</li>\n"; };
  const std::string train = count(all, "train"), val = count(all, "val"), test = count(all, "test");
  if (!train.empty())
    step("Images were divided by patient: " + train + " to train with, " + (val.empty() ? "none" : val) + " to choose with" +
         (test.empty() ? "; there is no test part." : ", " + test + " locked away to test with."));
  if (const Json& nets = at(all, "/compare/nets"); nets.is_array() && !nets.empty()) {
    size_t trained = 0;
    for (const Json& net : nets) trained += text(net, "/status") == "trained";
    step(fmt::format("The same head was trained on {} frozen net{}, with {} of the training images{}.", trained, trained == 1 ? "" : "s",
                     fmt::format("{:.0f} %", 100 * real(all, "/compare/fraction")),
                     trained < nets.size() ? fmt::format("; for {} more there were no weights", nets.size() - trained) : ""));
  }
  if (const std::string net = text(all, "/choice/net"); !net.empty())
    step("<b>" + escape(net) + "</b> was " +
         (run.experiment ? "chosen" : "trained: first a new head on the frozen net, then its upper layers too; the best epoch was kept") +
         (text(all, "/choice/why").empty() ? "." : ": " + escape(text(all, "/choice/why"))));
  if (const Json& fine = at(all, "/fine_tune"); fine.is_object()) {
    const bool kept = at(fine, "/kept") == Json(true);
    step("Its upper layers, from <code>" + escape(text(fine, "/unfrozen_from")) + "</code> on, were trained further. " +
         (kept ? "That model was kept" : "That model was <b>not</b> kept") +
         (text(fine, "/why").empty() ? "." : ": " + escape(text(fine, "/why"))));
  }
  if (const double t = real(all, "/calibration/threshold"); std::isfinite(t)) {
    const std::string rule = text(all, "/calibration/operating_point");
    step("On the validation part the probabilities got the temperature " + number(all, "/calibration/temperature") +
         " and the decision its threshold " + number(all, "/calibration/threshold") +
         (rule.empty() ? "." : " (rule: <code>" + escape(rule) + "</code>)."));
  }
  if (const std::string note = text(all, "/test_note"); !note.empty()) step(escape(note));
  return out.empty() ? "" : "<h3>What was done</h3>\n<ol>" + out + "</ol>\n";
}

}  // namespace

std::string summary_section(Page& page) {
  const Run& run = page.run;
  std::string out;
  if (run.experiment && at(run.all, "/complete") != Json(true))
    out += warning("<b>This experiment is not complete.</b> What follows is what there was when the report was written.");
  if (!run.experiment)
    out +=
        "<p>This is the report of one training (<code>ptrain train</code>): there is no data audit, no comparison of nets and no locked "
        "test. <code>ptrain experiment</code> does all of these.</p>\n";
  const Json& leaks = at(run.all, "/audit/leaks");
  if (leaks.is_array() && !leaks.empty())
    out += warning(
        "<b>The test part is not independent of the training part</b>, so results on it are too good. See <a href=\"#data\">the data</a>.");
  const std::string test = tiles(run, "/test", "test"), validation = tiles(run, "/validation", "validation");
  out += test + validation;
  if (test.empty()) out += absent(no_test(run) + " The numbers above come from the images on which the model was chosen, and flatter it.");
  else
    out +=
        "<p class=\"note\">Trust the test row. The validation row comes from the images on which epoch, net and threshold were chosen, and "
        "flatters the model.</p>\n";
  return out + steps(run);
}

}  // namespace ptrain::report
