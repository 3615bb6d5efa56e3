// defines: the ledger beside a model: one line for each evaluation of it
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

namespace ptrain::cli {

// MODEL.ledger.jsonl
std::filesystem::path ledger_path(const std::filesystem::path& model);
// What a line says of an evaluation: the part, the data, the numbers of metrics::to_json that a reader of the ledger looks for.
nlohmann::ordered_json ledger_entry(const std::string& part, const std::string& data_hash, const nlohmann::ordered_json& evaluation);
// Adds {"time": …, "model_sha256": …, …entry}. Error{failed} when it cannot be written: an evaluation that leaves no trace is not one.
void add_to_ledger(const std::filesystem::path& model, const nlohmann::ordered_json& entry);
// Throws unless a line could be added.
void check_ledger(const std::filesystem::path& model);

}  // namespace ptrain::cli
