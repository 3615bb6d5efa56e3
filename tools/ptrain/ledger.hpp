// defines: the ledger beside a model: one line for each evaluation of it
#pragma once

#include <filesystem>

#include <nlohmann/json.hpp>

namespace ptrain::cli {

// MODEL.ledger.jsonl
std::filesystem::path ledger_path(const std::filesystem::path& model);
// Adds {"time": …, "model_sha256": …, …entry}. Error{failed} when it cannot be written: an evaluation that leaves no trace is not one.
void add_to_ledger(const std::filesystem::path& model, const nlohmann::ordered_json& entry);
// Throws unless a line could be added.
void check_ledger(const std::filesystem::path& model);

}  // namespace ptrain::cli
