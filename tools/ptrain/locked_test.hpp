// defines: LockedTest and evaluate_once(), the one look at the test part that an experiment takes
#pragma once

#include "tools/ptrain/net_run.hpp"

namespace ptrain::cli {

struct LockedTest {
  std::optional<metrics::Evaluation> evaluation;  // none: there is no test part
  std::string note;                               // why there is none, or how often the part was used
  nlohmann::ordered_json ledger = nlohmann::ordered_json::array();
  std::optional<nlohmann::ordered_json> prior_shift;  // how the class shares seem to differ from those that the model was trained for
};

// Evaluates RUN/best.h5 on the split's test part: RUN/predictions_test.csv, and a line in the ledger. An experiment that goes on and has
// done so already reads what it wrote. Nothing is chosen here.
LockedTest evaluate_once(Bench& bench, const Split& split, const std::filesystem::path& out, const TrainOptions& options);

// The lines of the ledger beside a model; an empty array when there is none.
nlohmann::ordered_json read_ledger(const std::filesystem::path& model);

}  // namespace ptrain::cli
