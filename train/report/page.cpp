#include "train/report/page.hpp"

#include <fmt/format.h>

#include "data/file.hpp"

namespace ptrain::report {

const std::vector<Section>& sections() {
  static const std::vector<Section> all = {
      {"summary", "In short", summary_section},
      {"data", "The data", data_section},
      {"samples", "What the net sees", samples_section},
      {"training", "Training", training_section},
      {"comparison", "Comparison of the nets", comparison_section},
      {"curves", "ROC and precision–recall", curves_section},
      {"decisions", "Decisions", decisions_section},
      {"calibration", "Calibration", calibration_section},
      {"mistakes", "Worst mistakes", mistakes_section},
      {"ledger", "Uses of the test part", ledger_section},
      {"record", "Exact record", record_section},
      {"limits", "Limits", limits_section},
  };
  return all;
}

std::string absent(const std::string& why) { return "<p class=\"absent\">" + why + "</p>\n"; }
std::string warning(const std::string& html) { return "<p class=\"warning\">" + html + "</p>\n"; }

std::string no_test(const Run& run) {
  return at(run.all, "/data/parts/test").is_object() ? "The test part was not evaluated in this run." : "There is no test part.";
}

std::string Page::figure(const std::string& name, const std::string& drawing, const std::string& caption, const std::string& csv) {
  tables_.push_back({name, csv});
  const std::span bytes(reinterpret_cast<const uint8_t*>(csv.data()), csv.size());
  return fmt::format(
      "<figure id=\"figure-{0}\">{1}<figcaption>{2} <a class=\"csv\" download=\"{0}.csv\" href=\"{3}\" title=\"the numbers of this figure; "
      "also in figures/{0}.csv\">CSV</a></figcaption></figure>\n",
      name, drawing, caption, data_uri("text/csv;charset=utf-8", bytes));
}

std::string render(Page& page) {
  const Run& run = page.run;
  std::string contents, body;
  for (const Section& s : sections()) {
    contents += fmt::format("<a href=\"#{}\">{}</a>", s.id, s.title);
    body += fmt::format("<section id=\"{}\"><h2>{}</h2>\n{}</section>\n", s.id, s.title, s.write(page));
  }
  const std::string name = run.folder.filename().empty() ? run.folder.parent_path().filename().string() : run.folder.filename().string();
  const std::string what = run.experiment ? "Experiment" : "Training";
  const std::string created = text(run.all, "/created"), version = text(run.all, "/ptrain_version");
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">"
      "<meta name=\"color-scheme\" content=\"light dark\"><title>{0} {1}</title><style>{2}</style></head>\n<body>\n"
      "<header><p class=\"kind\">{0} report</p><h1>{1}</h1><p class=\"sub\">{3}</p></header>\n<nav "
      "aria-label=\"Sections\">{4}</nav>\n<main>\n{5}</main>\n"
      "<footer><p>Made by ptrain{6}. One file, no script, nothing is loaded from elsewhere. The numbers of every figure lie beside it as "
      "CSV.</p></footer>\n</body></html>\n",
      what, escape(name), kStyle, created.empty() ? "" : escape(created), contents, body, version.empty() ? "" : " " + escape(version));
}

void write_report(const Run& run, const Pictures& pictures) {
  Page page(run, pictures);
  const std::string html = render(page);
  std::filesystem::create_directories(run.folder / "figures");
  const auto write = [](const std::filesystem::path& path, const std::string& content) {
    AtomicFile file(path);
    file.write(content);
    file.commit();
  };
  for (const FigureTable& table : page.tables()) write(run.folder / "figures" / (table.name + ".csv"), table.csv);
  write(run.folder / "report.html", html);
}

}  // namespace ptrain::report
