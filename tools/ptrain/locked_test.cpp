#include "tools/ptrain/locked_test.hpp"

#include <algorithm>
#include <fstream>

#include "data/data_hash.hpp"
#include "tools/ptrain/ledger.hpp"
#include "train/class_priors.hpp"
#include "train/predictions_csv.hpp"
#include "train/prior_shift.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;

// EM on the unlabelled probabilities.
Json prior_shift(const metrics::Predictions& p, const ModelSpec& spec) {
  const PriorShift shift = fit_prior_shift(p.probabilities, training_priors(spec));
  Json priors;
  for (size_t c = 0; c < p.classes.size(); ++c) priors[p.classes[c]] = shift.priors[c];
  return {{"priors", priors},
          {"p", shift.p},
          {"iterations", shift.iterations},
          {"note", "estimated on the unlabelled test images (EM); shown, not applied"}};
}

}  // namespace

Json read_ledger(const std::filesystem::path& model) {
  Json lines = Json::array();
  std::ifstream in(ledger_path(model));
  for (std::string line; std::getline(in, line);)
    if (Json j = Json::parse(line, nullptr, false); j.is_object()) lines.push_back(std::move(j));
  return lines;
}

LockedTest evaluate_once(Bench& bench, const Split& split, const std::filesystem::path& out, const TrainOptions& o) {
  LockedTest t;
  const std::filesystem::path file = out / report_files::kModel, table = out / report_files::kTest;
  const std::vector<int64_t> images = split.of(Part::test);
  if (images.empty()) {
    std::filesystem::remove(table);
    t.note = "there is no test part: nothing is known about images that took no part in a choice; validation numbers are a little too good";
    return t;
  }
  const ModelSpec spec = read_spec(WeightFileReader(file));
  metrics::Predictions p;
  t.ledger = read_ledger(file);
  if (o.resume && !t.ledger.empty() && std::filesystem::exists(table)) {
    p = read_predictions(table).predictions;
  } else {
    check_ledger(file);
    Model model = load_model(file, bench.memory);
    set_precision(model, bench.compute);
    freeze(model, {.cut = model.base_layers().size()}, BnMode::inference);
    const auto cache = fill_cache(o, spec.height, bench.manifest, images, bench.memory, bench.threads, bench.say);
    std::vector<std::string> patients;
    for (const Entry& e : bench.manifest.entries) patients.push_back(e.patient);
    BaseRunner runner(model, bench.workers,
                      {.shard = bench.memory->backend().is_host() ? 1 : int64_t{32}, .group = 1, .compute = bench.compute});
    Predictor predictor(model, runner, bench.workers);
    p = predict(model, predictor, *cache, cache->indices(), patients);
    const Json result = metrics::to_json(evaluate_at(p, spec, o.seed));
    Json line = ledger_entry("test", data_hash(bench.manifest, cache->indices(), cache->hashes()), result);
    line["by"] = "experiment";
    if (o.override_lock) line["override_lock"] = true;
    write_predictions(table, bench.manifest, cache->indices(), p, spec.positive, spec.threshold);
    add_to_ledger(file, line);
    t.ledger = read_ledger(file);
  }
  t.evaluation = evaluate_at(p, spec, o.seed);
  t.prior_shift = prior_shift(p, spec);
  const auto uses = std::count_if(t.ledger.begin(), t.ledger.end(), [](const Json& line) { return line.value("part", "") == "test"; });
  t.note = fmt::format("{} images; this test part was used {} with models of this name (see the ledger)", p.size(),
                       uses == 1 ? "once" : fmt::format("{} times", uses));
  return t;
}

}  // namespace ptrain::cli
