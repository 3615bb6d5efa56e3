#include "tools/ptrain/net_run.hpp"

#include <fstream>

#include "data/data_hash.hpp"
#include "train/interrupt.hpp"
#include "train/predictions_csv.hpp"

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;

// What the log of a training says about its speed.
void read_speed(const std::filesystem::path& metrics, NetRun& run) {
  std::ifstream in(metrics);
  double images = 0;
  for (std::string line; std::getline(in, line);) {
    const Json j = Json::parse(line, nullptr, false);
    if (!j.is_object() || !j.contains("seconds")) continue;
    ++run.epochs;
    run.seconds += j.value("seconds", 0.0);
    images += j.value("seconds", 0.0) * j.value("images_per_s", 0.0);
  }
  run.images_per_s = run.seconds > 0 ? images / run.seconds : 0;
}

bool is_finished(const std::filesystem::path& folder) {
  for (const char* file : {"best.h5", "run.json", "predictions_train.csv", "predictions_val.csv"})
    if (!std::filesystem::exists(folder / file)) return false;
  return true;
}

void read_finished(const std::filesystem::path& folder, Model& model, NetRun& run) {
  const WeightFileReader best(folder / "best.h5");
  load_weights(model.params, best);
  const ModelSpec spec = read_spec(best);
  model.spec = spec;
  run.train = read_predictions(folder / "predictions_train.csv").predictions;
  run.val = read_predictions(folder / "predictions_val.csv").predictions;
  std::ifstream in(folder / "run.json");
  const Json j = Json::parse(in, nullptr, false);
  if (j.is_object()) run.peak_mb = j.value("peak_mb", int64_t{0});
}

}  // namespace

Journal::Journal(const std::filesystem::path& log, bool quiet, bool append)
    : progress_(stderr_screen(quiet)),
      log_(append ? LineFile(log, [](std::string_view, size_t) { return true; }) : LineFile(log)) {}

void Journal::operator()(const std::string& line) {
  progress_.message(line);
  log_.write(line + "\n");
}

Bench::Bench(const TrainOptions& o, std::string c, Manifest m, Say s)
    : options(o),
      config(std::move(c)),
      manifest(std::move(m)),
      say(std::move(s)),
      threads(choose_threads(o.threads)),
      memory(chosen_device(o.device, o.conv)),
      compute(compute_type(o.precision, *memory)),
      workers(memory->shared_backend(), workers_for(*memory, threads)) {}

const ImageCache& Bench::cache(int64_t side) {
  auto& cache = caches_[side];
  if (!cache) {
    std::vector<int64_t> images;  // all that any split may ask for
    for (size_t i = 0; i < manifest.entries.size(); ++i)
      if (manifest.entries[i].part != Part::test) images.push_back(int64_t(i));
    cache = fill_cache(options, side, manifest, images, memory, threads, say);
  }
  return *cache;
}

Attributes Bench::attributes(const Split& split, int64_t side) {
  const ImageCache& images = cache(side);
  std::vector<int64_t> used;
  std::vector<std::string> hashes;
  for (size_t i = 0; i < images.indices().size(); ++i) {
    const Part part = split.parts[size_t(images.indices()[i])];
    if (part == Part::train || part == Part::val) used.push_back(images.indices()[i]), hashes.push_back(images.hashes()[i]);
  }
  return {{"config", config}, {"data_hash", data_hash(manifest, used, hashes)}, {"ptrain_version", version()}};
}

metrics::Evaluation evaluate_at(const metrics::Predictions& p, const ModelSpec& spec, uint64_t seed) {
  return metrics::evaluate(p, {.threshold = spec.threshold, .positive = p.classes.size() == 2 ? spec.positive : -1, .seed = seed});
}

NetRun train_net(Bench& bench, Model& model, const FitOptions& options, const Split& split, const std::filesystem::path& folder,
                 bool resume) {
  NetRun run;
  const int64_t side = model.spec.height;
  const FitData data = bench.data(split, side);
  if (resume && is_finished(folder)) {
    read_finished(folder, model, run);
    bench.say(folder.string() + " is finished");
  } else {
    std::unique_ptr<WeightFileReader> state;
    std::optional<Position> from;
    if (resume && std::filesystem::exists(folder / "last.h5")) {
      state = std::make_unique<WeightFileReader>(folder / "last.h5");
      from = read_position(*state);
      load_weights(model.params, *state);
    }
    set_precision(model, bench.compute);
    reset_peak_memory();
    RunFolder files(folder, stderr_screen(bench.options.quiet), from ? std::optional(from->epoch) : std::nullopt);
    write_split(files.split(), bench.manifest, split);
    Fit fit(model, bench.workers, data, options, files, bench.attributes(split, side));
    fit.run(from, state.get());

    BaseRunner runner(model, bench.workers, runner_options(model, options));
    Predictor predictor(model, runner, bench.workers);
    const auto seen = [&](const std::vector<int64_t>& images) { return predict(model, predictor, data.cache, images, data.patients); };
    run.train = seen(data.train), run.val = seen(data.val);
    run.peak_mb = peak_memory_megabytes();
    write_predictions(folder / "predictions_train.csv", bench.manifest, data.train, run.train, model.spec.positive, model.spec.threshold);
    write_predictions(folder / "predictions_val.csv", bench.manifest, data.val, run.val, model.spec.positive, model.spec.threshold);
    files.write_text("run.json", Json{{"peak_mb", run.peak_mb}}.dump() + "\n");
  }
  read_speed(folder / "metrics.jsonl", run);
  run.best_epoch = WeightFileReader(folder / "best.h5").integer("epoch") + 1;
  freeze(model, options.stages.at(0), options.bn);
  run.trained_parameters = model.params.count(true);
  run.train_evaluation = evaluate_at(run.train, model.spec, options.seed);
  run.val_evaluation = evaluate_at(run.val, model.spec, options.seed);
  return run;
}

}  // namespace ptrain::cli
