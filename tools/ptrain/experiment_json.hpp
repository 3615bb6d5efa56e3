// defines: parts of report.json that say where and on what an experiment ran
#pragma once

#include "tools/ptrain/net_run.hpp"

namespace ptrain::cli {

nlohmann::ordered_json machine_json(const Bench& bench);  // device, threads, processor
nlohmann::ordered_json data_json(Bench& bench, const Split& split, int positive, const std::vector<std::string>& notes);
nlohmann::ordered_json config_json(const std::string& resolved_toml);  // {option: value as TOML writes it}
std::string command_line();                                            // of this process
std::string time_now();                                                // "2026-01-31T12:00:00Z"
nlohmann::ordered_json hashes_json(const std::filesystem::path& folder, const std::vector<std::string>& files);  // of those that are there

}  // namespace ptrain::cli
