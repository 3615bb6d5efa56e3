#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "train/report/page.hpp"

namespace ptrain::report {
namespace {

std::string value_of(const Json& v) { return v.is_string() ? v.get<std::string>() : v.dump(); }

}  // namespace

std::string ledger_section(Page& page) {
  const Json& all = page.run.all;
  const Json& ledger = at(all, "/ledger");
  std::string out;
  if (const std::string note = text(all, "/test_note"); !note.empty()) out += "<p>" + escape(note) + "</p>\n";
  if (!ledger.is_array() || ledger.empty()) return out + absent("The ledger beside the model is empty: no evaluation of it was recorded.");
  const auto uses = std::count_if(ledger.begin(), ledger.end(), [](const Json& line) { return text(line, "/part") == "test"; });
  out += fmt::format(
      "<p>Every evaluation of the model is a line beside it (<code>best.ledger.jsonl</code>). There {} <b>{}</b>; with a test part: "
      "<b>{}</b>. A result is worth most "
      "the first time: with every further look at the test part, choices can creep in.</p>\n",
      ledger.size() == 1 ? "is" : "are", ledger.size(), uses);
  Table t{.titles = {"time", "part", "images", "AUC", "accuracy", "model", "data", "remarks"}, .rows = {}, .text_columns = 2};
  for (size_t i = 0; i < ledger.size(); ++i) {
    const std::string base = fmt::format("/ledger/{}", i);
    const Json& line = ledger[i];
    const auto hash = [&](const char* key) {
      return "<code title=\"" + escape(text(line, key)) + "\">" + escape(text(line, key).substr(0, 10)) + "</code>";
    };
    std::string remarks;
    if (line.is_object())
      for (const auto& [key, v] : line.items())
        if (key.find("override") != std::string::npos && v != Json(false)) remarks += "<b>the lock was overridden</b> ";
    if (const std::string known = number(all, base + "/known_to_model"); known != "–")
      remarks += "<b>the model knew patients of " + known + " images</b> ";
    if (at(line, "/prior_shift").is_object()) remarks += "for other class shares ";
    t.rows.push_back({escape(text(line, "/time")), escape(text(line, "/part")), number(all, base + "/n"), number(all, base + "/auc"),
                      number(all, base + "/accuracy"), hash("/model_sha256"), hash("/data_hash"), remarks});
  }
  return out + t.html();
}

std::string record_section(Page& page) {
  const Json& all = page.run.all;
  std::string out;
  const std::string command = text(all, "/command");
  out += command.empty() ? absent("The command line was not recorded; the configuration below has every option.")
                         : "<h3>Command</h3>\n<pre>" + escape(command) + "</pre>\n";

  Table machine{.titles = {"what", "value"}, .rows = {}, .text_columns = 2};
  const auto row = [&](const std::string& name, const std::string& html) {
    if (!html.empty() && html != "–") machine.rows.push_back({name, html});
  };
  row("ptrain", escape(text(all, "/ptrain_version")));
  row("begun", escape(text(all, "/created")));
  row("device", escape(text(all, "/device")));
  row("processor", escape(text(all, "/processor")));
  row("threads", number(all, "/threads"));
  row("data hash", "<code>" + escape(text(all, "/data/data_hash")) + "</code>");
  if (const Json& hashes = at(all, "/hashes"); hashes.is_object())
    for (const auto& [file, hash] : hashes.items()) row("SHA-256 of " + escape(file), "<code>" + escape(value_of(hash)) + "</code>");
  for (const Json& net : at(all, "/compare/nets"))
    if (const std::string hash = text(net, "/weights_sha256"); !hash.empty())
      row("SHA-256 of the weights of " + escape(text(net, "/net")), "<code>" + escape(hash) + "</code>");
  out += machine.html();

  if (const Json& seconds = at(all, "/seconds"); seconds.is_object() && !seconds.empty()) {
    Table t{.titles = {"step", "time"}, .rows = {}};
    double most = 0;
    for (const auto& [step, s] : seconds.items())
      if (s.is_number()) most = std::max(most, s.get<double>());
    for (const auto& [step, s] : seconds.items())
      if (s.is_number())
        t.rows.push_back({step == "total" ? "<b>total</b>" : escape(step),
                          fmt::format("<span class=\"track long\"><span class=\"bar\" style=\"width:{:.0f}px\"></span></span>",
                                      most > 0 ? 128 * s.get<double>() / most : 0) +
                              "<span class=\"beside\">" + duration(s.get<double>()) + "</span>"});
    out += "<h3>Timings</h3>\n" + t.html();
  }
  if (const Json& config = at(all, "/config"); config.is_object() && !config.empty()) {
    std::string toml;
    for (const auto& [key, v] : config.items()) toml += key + " = " + value_of(v) + "\n";
    out += "<details open><summary>Configuration</summary><pre>" + escape(toml) + "</pre></details>\n";
  }
  return out;
}

std::string limits_section(Page& page) {
  const Run& run = page.run;
  std::string out =
      "<ul>\n<li><b>This is not a medical device.</b> Nothing here may guide the care of a patient.</li>\n"
      "<li>The chest films that ptrain was made for are of children of one to five years from one hospital (Guangzhou Women and Children’s "
      "Medical Center). What was learnt there need not hold for adults, for other "
      "hospitals or for other X-ray machines. With other data, read this sentence with their origin in mind.</li>\n"
      "<li>Labels are what people wrote down. They are sometimes wrong, and the model learns that too.</li>\n"
      "<li>A net uses whatever separates the classes: markers, tubes, borders, the way a patient lies. The shortcut baseline and the "
      "Grad-CAM pictures show some of it, not all.</li>\n"
      "<li>Intervals speak of chance in drawing these images and patients. They say nothing about images that are of another kind.</li>\n"
      "<li>The validation part chose the epoch, the net, the temperature and the threshold. Its numbers are too good by an unknown "
      "amount.</li>\n";
  if (!at(run.all, "/test").is_object()) out += "<li>" + no_test(run) + " How the model does on new films is not known.</li>\n";
  return out + "</ul>\n";
}

}  // namespace ptrain::report
