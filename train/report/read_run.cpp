#include "train/report/run.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "data/csv.hpp"
#include "data/file.hpp"
#include "kernels/error.hpp"
#include "train/report_data.hpp"

namespace ptrain::report {
namespace {

constexpr int64_t kMostBytes = int64_t{1} << 28;

std::string read_text(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = read_bytes(path, "reading", kMostBytes);
  return {bytes.begin(), bytes.end()};
}

Json parse(const std::string& text, const std::filesystem::path& path) {
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::exception& e) {
    fail(ErrorKind::data, "reading ", path.string(), ": this is not JSON (", e.what(),
         ")\n  make the run again, or take the file from a copy");
  }
}

int class_index(const std::vector<std::string>& classes, const std::string& name, const std::filesystem::path& path) {
  const auto it = std::find(classes.begin(), classes.end(), name);
  if (it == classes.end()) fail(ErrorKind::data, "reading ", path.string(), ": the class '", name, "' is none of the run's classes");
  return int(it - classes.begin());
}

void check_schema(const Json& all, const std::filesystem::path& path) {
  const Json& schema = at(all, "/schema");
  if (!schema.is_number_integer() || schema.get<int64_t>() != report_files::kSchema)
    fail(ErrorKind::data, "reading ", path.string(), ": its schema is ", schema.dump(), ", this ptrain reads ", report_files::kSchema,
         "\n  use the version that wrote the run: ", at(all, "/ptrain_version").dump());
}

}  // namespace

Json read_json_lines(const std::filesystem::path& path) {
  Json lines = Json::array();
  if (!std::filesystem::exists(path)) return lines;
  const std::string all = read_text(path);
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    const std::string line = all.substr(begin, end - begin);
    begin = end + 1;
    if (line.find_first_not_of(" \r\t") == std::string::npos) continue;
    if (begin > all.size() && !Json::accept(line)) break;  // the last line is being written
    lines.push_back(parse(line, path));
  }
  return lines;
}

std::vector<std::vector<Epoch>> read_stages(const std::filesystem::path& path) {
  std::vector<std::vector<Epoch>> stages;
  size_t best_stage = 0, best_epoch = 0;
  bool any = false;
  for (const Json& line : read_json_lines(path)) {
    if (!line.is_object()) fail(ErrorKind::data, "reading ", path.string(), ": a line is no JSON object");
    const auto value = [&](const char* name) { return real(line, std::string("/") + name); };
    const Epoch e{.stage = text(line, "/stage"),
                  .loss = value("loss"),
                  .val_loss = value("val_loss"),
                  .accuracy = value("accuracy"),
                  .val_accuracy = value("val_accuracy"),
                  .auc = value("auc"),
                  .val_auc = value("val_auc"),
                  .learning_rate = value("learning_rate"),
                  .seconds = value("seconds")};
    if (stages.empty() || stages.back().front().stage != e.stage) stages.emplace_back();
    stages.back().push_back(e);
    if (at(line, "/best") == Json(true)) best_stage = stages.size() - 1, best_epoch = stages.back().size() - 1, any = true;
  }
  if (any) stages[best_stage][best_epoch].chosen = true;
  return stages;
}

PredictionTable read_predictions(const std::filesystem::path& path, const std::vector<std::string>& classes) {
  const std::vector<CsvRow> rows = parse_csv(read_text(path), path.string());
  if (rows.empty()) fail(ErrorKind::data, "reading ", path.string(), ": the file is empty");
  const auto column = [&](const std::string& title) { return csv_column(rows[0], title, path.string()); };
  const size_t file = column("file"), label = column("label"), decided = column("predicted"), patient = column("patient");
  std::vector<size_t> probability;
  for (const std::string& c : classes) probability.push_back(column("p_" + c));
  PredictionTable t{.predictions = {.classes = classes, .labels = {}, .probabilities = {}, .patients = {}}, .files = {}, .decided = {}};
  for (size_t i = 1; i < rows.size(); ++i) {
    const CsvRow& row = rows[i];
    t.files.push_back(row[file]);
    t.predictions.labels.push_back(class_index(classes, row[label], path));
    t.decided.push_back(class_index(classes, row[decided], path));
    t.predictions.patients.push_back(row[patient]);
    for (const size_t c : probability) {
      double p = 0;
      const auto [end, error] = std::from_chars(row[c].data(), row[c].data() + row[c].size(), p);
      if (error != std::errc() || end != row[c].data() + row[c].size() || !(p >= 0 && p <= 1))
        fail(ErrorKind::data, "reading ", path.string(), ": line ", i + 1, " has '", row[c], "' where a probability is wanted");
      t.predictions.probabilities.push_back(p);
    }
  }
  if (t.files.empty()) fail(ErrorKind::data, "reading ", path.string(), ": it has no images");
  if (std::all_of(t.predictions.patients.begin(), t.predictions.patients.end(), [](const std::string& p) { return p.empty(); }))
    t.predictions.patients.clear();
  return t;
}

std::vector<std::string> Run::classes() const {
  std::vector<std::string> names;
  for (const Json& c : at(all, "/data/classes"))
    if (c.is_string()) names.push_back(c.get<std::string>());
  return names;
}

int Run::positive() const {
  const std::vector<std::string> names = classes();
  const auto it = std::find(names.begin(), names.end(), text(all, "/data/positive"));
  return int(it == names.end() ? names.size() - 1 : size_t(it - names.begin()));
}

double Run::threshold() const {
  const double t = real(all, "/calibration/threshold");
  return std::isfinite(t) ? t : real(all, "/validation/threshold");
}

Run read_run(const std::filesystem::path& folder) {
  if (!std::filesystem::is_directory(folder))
    fail(ErrorKind::data, "reporting on ", folder.string(),
         ": there is no such folder\n  give the --out folder of ptrain experiment or ptrain train");
  Run run{.folder = folder, .all = {}, .stages = {}, .validation = {}, .test = {}};
  if (const std::filesystem::path json = folder / report_files::kJson; std::filesystem::exists(json)) {
    run.experiment = true;
    run.all = parse(read_text(json), json);
    check_schema(run.all, json);
    if (run.classes().size() < 2) fail(ErrorKind::data, "reading ", json.string(), ": it names fewer than two classes");
    const std::string net = text(run.all, "/choice/net");
    std::vector<std::filesystem::path> parts;
    if (!net.empty() && net.find('/') == std::string::npos) parts.push_back(folder / report_files::kNets / net);
    parts.push_back(folder / report_files::kFineTune);
    for (const std::filesystem::path& part : parts)
      for (std::vector<Epoch>& stage : read_stages(part / "metrics.jsonl")) run.stages.push_back(std::move(stage));
  } else if (std::filesystem::exists(folder / report_files::kModel)) {
    run.all = describe_training(folder);
    run.stages = read_stages(folder / "metrics.jsonl");
  } else {
    fail(ErrorKind::data, "reporting on ", folder.string(), ": it has neither ", report_files::kJson, " (of ptrain experiment) nor ",
         report_files::kModel, " (of ptrain train)\n  give the --out folder of one of these");
  }
  if (const auto csv = folder / report_files::kValidation; std::filesystem::exists(csv))
    run.validation = read_predictions(csv, run.classes());
  if (const auto csv = folder / report_files::kTest; std::filesystem::exists(csv)) run.test = read_predictions(csv, run.classes());
  return run;
}

}  // namespace ptrain::report
