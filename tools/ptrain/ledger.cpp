#include "tools/ptrain/ledger.hpp"

#include <chrono>

#include <fmt/chrono.h>

#include "data/file.hpp"
#include "data/sha256.hpp"
#include "train/line_file.hpp"

namespace ptrain::cli {
namespace {

LineFile open_ledger(const std::filesystem::path& model) {
  return {ledger_path(model), [](std::string_view, size_t) { return true; }};
}

}  // namespace

std::filesystem::path ledger_path(const std::filesystem::path& model) {
  return std::filesystem::path(model).replace_extension(".ledger.jsonl");
}

void check_ledger(const std::filesystem::path& model) { open_ledger(model); }

nlohmann::ordered_json ledger_entry(const std::string& part, const std::string& data_hash, const nlohmann::ordered_json& evaluation) {
  nlohmann::ordered_json entry{{"part", part}, {"data_hash", data_hash}};
  for (const char* key : {"n", "accuracy", "auc", "sensitivity", "specificity", "threshold"})
    if (evaluation.contains(key)) entry[key] = evaluation[key];
  return entry;
}

void add_to_ledger(const std::filesystem::path& model, const nlohmann::ordered_json& entry) {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  nlohmann::ordered_json line{{"time", fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(now))},
                              {"model_sha256", sha256_hex(read_bytes(model, "hashing", int64_t{1} << 34))}};
  line.update(entry);
  open_ledger(model).write(line.dump() + "\n");
}

}  // namespace ptrain::cli
