// The folder of `ptrain train`, told in the places that report.json has.
#include <map>
#include <set>

#include <toml++/toml.h>

#include "data/csv.hpp"
#include "data/file.hpp"
#include "data/sha256.hpp"
#include "kernels/error.hpp"
#include "train/model.hpp"
#include "train/report/run.hpp"
#include "train/report_data.hpp"

namespace ptrain::report {
namespace {

// {option: value as text in TOML}, in the order of the file.
Json config_of(const std::string& toml) {
  Json config = Json::object();
  for (size_t begin = 0; begin < toml.size();) {
    const size_t end = std::min(toml.find('\n', begin), toml.size());
    const std::string line = toml.substr(begin, end - begin);
    begin = end + 1;
    if (const size_t equals = line.find(" = "); equals != std::string::npos) config[line.substr(0, equals)] = line.substr(equals + 3);
  }
  return config;
}

std::string string_of(const std::string& toml, const char* key) {
  try {
    return toml::parse(toml)[key].value_or(std::string());
  } catch (const toml::parse_error&) {
    return "";  // the configuration is shown as it is; only the folder of the images is then not known
  }
}

Json parts_of(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = read_bytes(path, "reading", int64_t{1} << 28);
  const std::vector<CsvRow> rows = parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
  if (rows.empty()) fail(ErrorKind::data, "reading ", path.string(), ": the file is empty");
  const size_t label = csv_column(rows[0], "label", path.string()), patient = csv_column(rows[0], "patient", path.string()),
               part = csv_column(rows[0], "part", path.string());
  std::map<std::string, std::map<std::string, int64_t>> counts;
  std::map<std::string, std::set<std::string>> patients;
  for (size_t i = 1; i < rows.size(); ++i) {
    ++counts[rows[i][part]][rows[i][label]];
    patients[rows[i][part]].insert(rows[i][patient]);
  }
  Json parts = Json::object();
  for (const char* name : {"train", "val", "test", "unused"}) {
    if (!counts.contains(name)) continue;
    int64_t n = 0;
    Json classes = Json::object();
    for (const auto& [c, count] : counts[name]) classes[c] = count, n += count;
    parts[name] = {{"n", n}, {"patients", patients[name].size()}, {"classes", classes}};
  }
  return parts;
}

}  // namespace

Json describe_training(const std::filesystem::path& folder) {
  const std::filesystem::path best = folder / report_files::kModel;
  const WeightFileReader file(best);
  const ModelSpec spec = read_spec(file);
  const auto attribute = [&](const char* name) { return file.has_attribute(name) ? file.text(name) : std::string(); };
  const std::string config = attribute("config");
  Json all{{"schema", report_files::kSchema}, {"ptrain_version", attribute("ptrain_version")}, {"config", config_of(config)}};
  Json data{{"root", string_of(config, "data")},
            {"classes", spec.classes},
            {"positive", spec.classes[size_t(spec.positive)]},
            {"data_hash", attribute("data_hash")}};
  if (const auto split = folder / report_files::kSplit; std::filesystem::exists(split)) data["parts"] = parts_of(split);
  all["data"] = data;
  all["choice"] = {{"net", spec.net}};
  if (const std::string calibration = attribute("calibration"); !calibration.empty() && Json::accept(calibration))
    all["calibration"] = Json::parse(calibration);
  all["calibration"]["temperature"] = spec.temperature;
  all["calibration"]["threshold"] = spec.threshold;
  if (const std::string validation = attribute("validation"); !validation.empty() && Json::accept(validation))
    all["validation"] = Json::parse(validation);
  if (const Json ledger = read_json_lines(folder / report_files::kLedger); !ledger.empty()) all["ledger"] = ledger;
  all["hashes"] = {{report_files::kModel, sha256_hex(read_bytes(best, "hashing", int64_t{1} << 34))}};
  double seconds = 0;
  for (const auto& stage : read_stages(folder / "metrics.jsonl"))
    for (const Epoch& e : stage) seconds += std::isfinite(e.seconds) ? e.seconds : 0;
  if (seconds > 0) all["seconds"] = {{"training", seconds}};
  return all;
}

}  // namespace ptrain::report
