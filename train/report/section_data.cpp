#include <cmath>

#include <fmt/format.h>

#include "data/csv.hpp"
#include "train/report/chart.hpp"
#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

constexpr size_t kMostRows = 12;  // of a list of findings; all of them are in report.json

std::string share_bar(double share) {
  return std::isfinite(share) ? fmt::format("<span class=\"track\"><span class=\"bar\" style=\"width:{:.1f}px\"></span></span>", 64 * share)
                              : "";
}

// Images of each class in each part, as the run used them, or else as the folder has them.
std::string parts_table(const Run& run) {
  const std::string base = at(run.all, "/data/parts").is_object() ? "/data/parts" : "/audit/parts";
  Table t{.titles = {"part", "images", "patients"}, .rows = {}};
  for (const std::string& c : run.classes()) t.titles.push_back(escape(c));
  for (const char* part : {"train", "val", "test", "unused", "all"}) {
    const std::string p = base + "/" + part;
    if (!at(run.all, p).is_object()) continue;
    const double n = real(run.all, p + "/n");
    std::vector<std::string> row{part, number(run.all, p + "/n"), number(run.all, p + "/patients")};
    for (const std::string& c : run.classes()) {
      std::string name;  // as a JSON pointer spells it
      for (const char ch : c) name += ch == '~' ? "~0" : ch == '/' ? "~1" : std::string(1, ch);
      const Json& entry = at(run.all, p + "/classes/" + name);
      const std::string key = p + "/classes/" + name + (entry.is_object() ? "/n" : "");
      const double share = real(run.all, key) / n;
      row.push_back(share_bar(share) + "<span class=\"beside\">" + number(run.all, key) +
                    (std::isfinite(share) ? fmt::format(" <span class=\"ci\">{:.0f} %</span>", 100 * share) : "") + "</span>");
    }
    t.rows.push_back(std::move(row));
  }
  return t.rows.empty() ? absent("The run does not say how its images were divided.") : t.html();
}

std::string list(const Json& notes) {
  std::string out;
  if (notes.is_array())
    for (const Json& n : notes)
      if (n.is_string()) out += "<li>" + escape(n.get<std::string>()) + "</li>";
  return out.empty() ? "" : "<ul>" + out + "</ul>\n";
}

// A list of findings with the columns `keys`; "" when it is empty.
std::string findings(const Json& items, const std::string& caption, const std::vector<std::string>& keys) {
  if (!items.is_array() || items.empty()) return "";
  Table t{.titles = keys, .rows = {}, .text_columns = keys.size(), .caption = fmt::format("<b>{}</b> ({})", caption, items.size())};
  for (const Json& item : items) {
    if (t.rows.size() == kMostRows) break;
    std::vector<std::string> row;
    for (const std::string& key : keys) {
      const Json& v = at(item, "/" + key);
      std::string shown;
      if (v.is_string()) shown = v.get<std::string>();
      else if (v.is_boolean()) shown = v.get<bool>() ? "yes" : "no";
      else if (v.is_array())
        for (const Json& one : v) shown += (shown.empty() ? "" : ", ") + (one.is_string() ? one.get<std::string>() : one.dump());
      else if (!v.is_null()) shown = v.dump();
      row.push_back(escape(shown));
    }
    t.rows.push_back(std::move(row));
  }
  const std::string more =
      items.size() > kMostRows ? fmt::format("<p class=\"note\">… and {} more in report.json.</p>", items.size() - kMostRows) : "";
  return t.html() + more;
}

std::string statistics(const Json& all) {
  const Json& classes = at(all, "/audit/statistics");
  if (!classes.is_object() || classes.empty()) return "";
  Table t{.titles = {"class"}, .rows = {}, .caption = "Mean ± standard deviation over the training images of each class"};
  for (const auto& [feature, unused] : classes.begin().value().items()) t.titles.push_back(escape(feature));
  for (const auto& [name, features] : classes.items()) {
    std::vector<std::string> row{escape(name)};
    for (const auto& [feature, value] : features.items()) {
      const double mean = real(value, "/mean");
      const int decimals = std::fabs(mean) >= 100 ? 0 : std::fabs(mean) >= 10 ? 1 : 3;
      row.push_back(fixed(mean, decimals) + " <span class=\"ci\">± " + fixed(real(value, "/sd"), decimals) + "</span>");
    }
    t.rows.push_back(std::move(row));
  }
  return t.html();
}

std::string shortcut(Page& page) {
  const Json& all = page.run.all;
  if (!at(all, "/audit/shortcut").is_object()) return "";
  std::string out =
      "<h3>What could be known without looking</h3>\n<p>A logistic regression that sees only eight trivial numbers of an image (its size, "
      "brightness and borders, never its content) reaches the AUC " +
      with_interval(all, "/audit/shortcut/auc") + ". What a net reaches has to be read against this.";
  const std::string note = text(all, "/audit/shortcut/note");
  out += (note.empty() ? "" : " (" + escape(note) + ".)") + "</p>\n";
  const Json& weights = at(all, "/audit/shortcut/weights");
  if (!weights.is_object() || weights.empty()) return out;
  std::vector<ForestRow> rows;
  std::string csv = csv_line({"feature", "weight"});
  double most = 0.1;
  for (const auto& [feature, w] : weights.items()) {
    if (!w.is_number()) continue;
    rows.push_back({.label = feature, .value = w.get<double>(), .low = std::nan(""), .high = std::nan("")});
    csv += csv_line({feature, fmt::format("{}", w.get<double>())});
    most = std::max(most, std::fabs(w.get<double>()));
  }
  return out + page.figure("shortcut",
                           forest(rows, {.label = "weight of the standardised number", .low = -1.1 * most, .high = 1.1 * most}, 0,
                                  "Weights of the shortcut"),
                           "What the shortcut goes by: a weight to the right speaks for " +
                               escape(page.run.classes()[size_t(page.run.positive())]) + ".",
                           csv);
}

}  // namespace

std::string data_section(Page& page) {
  const Json& all = page.run.all;
  std::string out;
  if (const std::string root = text(all, "/data/root"); !root.empty()) out += "<p>Images below <code>" + escape(root) + "</code>.</p>\n";
  const Json& leaks = at(all, "/audit/leaks");
  if (leaks.is_array() && !leaks.empty()) out += warning("<b>Test images are not independent of the training images:</b>" + list(leaks));
  out += parts_table(page.run);
  out += list(at(all, "/data/notes"));
  if (!at(all, "/audit").is_object())
    return out + absent(
                     "The data were not audited: duplicates, damaged files and shortcuts were not looked for. <code>ptrain check "
                     "DIR</code> does it.");
  if (const std::string notes = list(at(all, "/audit/notes")); !notes.empty()) out += "<h3>What the audit found</h3>\n" + notes;
  std::string found;
  found += findings(at(all, "/audit/bad"), "Files that cannot be read", {"file", "why"});
  found += findings(at(all, "/audit/patients_across"), "Patients in more than one part of the folder", {"patient", "parts"});
  found += findings(at(all, "/audit/duplicates"), "Files with the same bytes", {"a", "b", "across"});
  found += findings(at(all, "/audit/near_duplicates"), "Images that look alike", {"a", "b", "distance", "across", "same_patient"});
  found += findings(at(all, "/audit/mislabelled"), "Files whose name says another type than their content", {"file", "type"});
  found += findings(at(all, "/audit/odd"), "Images of an unusual kind", {"file", "why"});
  out += found.empty() ? "<p>No duplicates, no damaged or mislabelled files, no patient in two parts.</p>\n" : found;
  return out + statistics(all) + shortcut(page);
}

}  // namespace ptrain::report
