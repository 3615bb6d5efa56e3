#include "tools/ptrain/experiment_json.hpp"

#include <chrono>
#include <fstream>
#include <set>

#include <fmt/chrono.h>

#include "data/file.hpp"
#include "data/sha256.hpp"

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;

std::string processor() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("model name"))
      if (const size_t colon = line.find(": "); colon != std::string::npos) return line.substr(colon + 2);
  return "";
}

}  // namespace

Json machine_json(const Bench& bench) {
  return {{"device", str(bench.memory->device())},
          {"threads", bench.threads},
          {"processor", processor()},
          {"precision", bench.options.precision}};
}

Json data_json(Bench& bench, const Split& split, int positive, const std::vector<std::string>& notes) {
  const Manifest& m = bench.manifest;
  Json parts;
  for (const Part part : {Part::train, Part::val, Part::test, Part::unused}) {
    const std::vector<int64_t> images = split.of(part);
    if (images.empty()) continue;
    std::set<std::string> patients;
    for (const int64_t i : images) patients.insert(m.entries[size_t(i)].patient);
    Json classes;
    const std::vector<int64_t> counts = m.class_counts(images);
    for (size_t c = 0; c < counts.size(); ++c) classes[m.classes[c]] = counts[c];
    parts[str(part)] = {{"n", images.size()}, {"patients", patients.size()}, {"classes", classes}};
  }
  return {{"root", std::filesystem::absolute(m.root).string()},
          {"classes", m.classes},
          {"positive", m.classes.at(size_t(positive))},
          {"parts", parts},
          {"notes", notes}};
}

Json config_json(const std::string& toml) {
  Json config = Json::object();
  std::istringstream in(toml);
  for (std::string line; std::getline(in, line);)
    if (const size_t equals = line.find(" = "); equals != std::string::npos) config[line.substr(0, equals)] = line.substr(equals + 3);
  return config;
}

std::string command_line() {
  std::ifstream in("/proc/self/cmdline", std::ios::binary);
  std::string text;
  for (std::string argument; std::getline(in, argument, '\0');) {
    const bool plain = !argument.empty() && argument.find_first_of(" \t\n\"'\\$&|;<>()*?") == std::string::npos;
    std::string shown = argument;
    if (!plain) {
      shown = "'";
      for (const char ch : argument) shown += ch == '\'' ? std::string("'\\''") : std::string(1, ch);
      shown += "'";
    }
    text += (text.empty() ? "" : " ") + shown;
  }
  return text;
}

std::string time_now() {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::system_clock::now())));
}

Json hashes_json(const std::filesystem::path& folder, const std::vector<std::string>& files) {
  Json hashes = Json::object();
  for (const std::string& file : files)
    if (std::filesystem::exists(folder / file)) hashes[file] = sha256_hex(read_bytes(folder / file, "hashing", int64_t{1} << 34));
  return hashes;
}

}  // namespace ptrain::cli
