// ptrain check: what a data set holds and what is wrong with it. Exit code 7 when the test part is known to the others.
#include <iostream>

#include "data/listing.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/train_options.hpp"
#include "train/audit_report.hpp"

namespace ptrain::cli {
namespace {

struct CheckOptions {
  std::string dir, positive, split;
  DataOptions data;
  int64_t threads = 0;
  bool json = false;
};

using Json = nlohmann::ordered_json;

std::string names(const Json& counts) {
  std::string text;
  for (const auto& [name, n] : counts.items()) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", n.get<int64_t>(), name);
  return text;
}

void print_some(const std::string& title, const std::vector<std::string>& lines) {
  if (!lines.empty()) std::cout << title << " (" << lines.size() << ")" << listing(lines, 10) << "\n";
}

std::vector<std::string> lines_of(const Json& list, const std::function<std::string(const Json&)>& text) {
  std::vector<std::string> lines;
  for (const Json& item : list) lines.push_back(text(item));
  return lines;
}

std::string pair_text(const Json& d) {
  std::string text = d["a"].get<std::string>() + "  " + d["b"].get<std::string>();
  if (d.contains("distance")) text += fmt::format("  {} bits", d["distance"].get<int>());
  if (!d["across"].get<std::string>().empty()) text += "  across " + d["across"].get<std::string>();
  if (!d["same_class"].get<bool>()) text += "  different labels";
  return text;
}

void print(const Json& j, const std::string& dir) {
  std::cout << dir << ": " << j["images"] << " files\n";
  for (const auto& [part, p] : j["parts"].items()) {
    std::cout << fmt::format("  {:<6}{:>7} images of {} patients:", part, p["n"].get<int64_t>(), p["patients"].get<int64_t>());
    for (const auto& [name, c] : p["classes"].items())
      std::cout << fmt::format("  {} {} ({:.1f} %)", name, c["n"].get<int64_t>(), 100 * c["share"].get<double>());
    std::cout << "\n";
  }
  std::cout << "types  " << names(j["types"]) << "\nmodes  " << names(j["modes"]) << "\nsizes  " << j["different_sizes"] << " different";
  for (size_t i = 0; i < j["sizes"].size() && i < 3; ++i)
    std::cout << fmt::format("; {} of {}x{}", j["sizes"][i]["n"].get<int64_t>(), j["sizes"][i]["height"].get<int64_t>(),
                             j["sizes"][i]["width"].get<int64_t>());
  std::cout << "\n";
  print_some("cannot be read", lines_of(j["bad"], [](const Json& b) { return b["why"].get<std::string>(); }));
  print_some("name and content disagree", lines_of(j["mislabelled"], [](const Json& b) {
               return b["file"].get<std::string>() + " is " + b["type"].get<std::string>();
             }));
  print_some("odd ones",
             lines_of(j["odd"], [](const Json& b) { return b["file"].get<std::string>() + ": " + b["why"].get<std::string>(); }));
  print_some("same bytes", lines_of(j["duplicates"], pair_text));
  print_some("nearly the same picture", lines_of(j["near_duplicates"], pair_text));
  print_some("patients in more than one part",
             lines_of(j["patients_across"], [](const Json& s) { return s["patient"].get<std::string>() + " " + s["parts"].dump(); }));

  std::cout << "means of images outside test\n  class             ";
  for (const auto& f : j["features"]) std::cout << fmt::format("{:>10}", f.get<std::string>());
  std::cout << "\n";
  for (const auto& [name, s] : j["statistics"].items()) {
    std::cout << fmt::format("  {:<18}", name);
    for (const auto& f : j["features"])
      std::cout << (s.contains(f.get<std::string>()) ? fmt::format("{:>10.4g}", s[f.get<std::string>()]["mean"].get<double>())
                                                     : fmt::format("{:>10}", "-"));
    std::cout << "\n";
  }
  for (const Json& note : j["notes"]) std::cout << "note: " << note.get<std::string>() << "\n";
}

void run(const CheckOptions& o) {
  Manifest manifest = read_folder(o.dir, patient_rule(o.data));
  const int positive = positive_class(o.positive, manifest.classes);
  if (!o.split.empty()) {  // the parts as a run has them; a test image in another part is Error{leak}
    const Split split = read_split(o.split, manifest);
    for (size_t i = 0; i < split.parts.size(); ++i) manifest.entries[i].part = split.parts[i];
  }
  const Audit audit = make_audit(manifest, positive, choose_threads(o.threads));
  const Json j = to_json(audit);
  if (o.json) std::cout << j.dump(2) << "\n";
  else print(j, o.dir);
  std::cout.flush();
  if (!audit.leaks.empty())
    fail(ErrorKind::leak, "checking ", o.dir, ": the test part is known to the others", listing(audit.leaks),
         "\n  remove these from training and validation; a result on this test part would be too good");
}

}  // namespace

std::unique_ptr<Command> check_command(CLI::App& program) {
  auto command = std::make_unique<Command>(
      program, "check", "audit a data set: bad files, duplicates, patients across parts, shortcuts; exit code 7 when test leaks",
      "  ptrain check chest_xray\n"
      "  ptrain check chest_xray --json > audit.json");
  const auto o = std::make_shared<CheckOptions>();
  command->app().add_option("DIR", o->dir, "folder of images, as ptrain train takes it")->required()->option_text("DIR");
  command->option("--group-regex", o->data.group_regex, "what names the patient in a file name: the first group, or all that matches");
  command->option("--group-csv", o->data.group_csv, "table with the columns file and patient")->option_text("FILE.csv");
  command->option("--split", o->split, "the parts of this split.csv instead of those of the folder")->option_text("FILE.csv");
  command->option("--positive", o->positive, "the class that sensitivity speaks of (the last by name unless given)");
  command->option("--threads", o->threads, "threads (0: all processors)");
  command->flag("--json", o->json, "write JSON to stdout");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
