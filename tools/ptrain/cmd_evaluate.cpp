// ptrain evaluate: how good a model is on labelled images, with intervals. Every use is written to the ledger beside the model.
#include <iostream>

#include <fmt/ranges.h>

#include "data/data_hash.hpp"
#include "data/listing.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/inference.hpp"
#include "tools/ptrain/ledger.hpp"
#include "tools/ptrain/prior_options.hpp"
#include "tools/ptrain/training.hpp"
#include "train/metrics/evaluation.hpp"
#include "train/predictions_csv.hpp"

namespace ptrain::cli {
namespace {

struct EvaluateOptions {
  InferenceOptions inference;
  DataOptions data;
  std::string part = "test", split, predictions;
  double threshold = -1;  // the model's
  PriorOptions priors;
};

std::vector<int64_t> images_of_part(const EvaluateOptions& o, Manifest& manifest) {
  const Part part = parse_part(o.part);
  std::vector<int64_t> images = o.split.empty() ? manifest.of(part) : read_split(o.split, manifest).of(part);
  if (!images.empty() || !o.split.empty()) {
    if (images.empty()) fail(ErrorKind::data, "evaluating: ", o.split, " has no images in the part '", o.part, "'");
    return images;
  }
  images = manifest.of(Part::all);
  if (images.empty())
    fail(ErrorKind::data, "evaluating: ", o.data.data, " has no part '", o.part,
         "'\n  choose one with --part, or give the split.csv of a run with --split");
  std::fprintf(stderr, "%s is not divided into parts: all of its %zu images are evaluated\n", o.data.data.c_str(), images.size());
  return images;
}

std::string with_interval(const metrics::Metric& m) {
  if (std::isnan(m.value)) return "undefined";
  return std::isnan(m.ci95.low) ? fmt::format("{:.4f}", m.value)
                                : fmt::format("{:.4f}  [{:.4f}, {:.4f}]", m.value, m.ci95.low, m.ci95.high);
}

void print(const metrics::Evaluation& e, const std::string& model, const std::string& part) {
  fmt::print("{} on {} images of the part '{}' (95 % intervals)\n", model, e.n, part);
  if (e.binary()) {
    const metrics::Confusion& c = e.chosen.confusion;
    fmt::print("at threshold {:.4f}, positive is {}\n", e.chosen.threshold, e.classes[size_t(e.options.positive)]);
    fmt::print("  true positive {}, false negative {}, true negative {}, false positive {}\n", c.tp, c.fn, c.tn, c.fp);
  }
  for (const metrics::Metric& m : e.chosen.metrics) fmt::print("  {:<20}{}\n", m.name, with_interval(m));
  if (e.binary()) {
    fmt::print("at threshold 0.5\n");
    for (const char* name : {"accuracy", "sensitivity", "specificity"})
      for (const metrics::Metric& m : e.plain.metrics)
        if (m.name == name) fmt::print("  {:<20}{}\n", m.name, with_interval(m));
  }
  fmt::print("without a threshold\n");
  for (const metrics::Metric& m : e.metrics) fmt::print("  {:<20}{}\n", m.name, with_interval(m));
  for (const std::string& warning : e.warnings) fmt::print("note: {}\n", warning);
}

void run(const EvaluateOptions& o) {
  Manifest manifest = read_folder(o.data.data, patient_rule(o.data));
  LoadedModel loaded(o.inference);
  check_ledger(o.inference.model);  // before the work, and after a file that is no model was refused
  ModelSpec& spec = loaded.model().spec;
  if (!spec.classes_named && spec.classes.size() == manifest.classes.size())
    spec.classes = manifest.classes;  // sorted by name, as in Keras
  if (spec.classes != manifest.classes)
    fail(ErrorKind::data, "evaluating ", o.inference.model, ": it knows the classes ",
         fmt::format("{}; {} has {}", fmt::join(spec.classes, ", "), o.data.data, fmt::join(manifest.classes, ", ")));
  const bool binary = spec.classes.size() == 2;
  Priors priors(o.priors, spec);
  if (o.threshold >= 0) spec.threshold = o.threshold, spec.operating_point.clear();  // of the probabilities that are shown
  const std::vector<int64_t> images = images_of_part(o, manifest);
  std::vector<std::string> known;
  if (parse_part(o.part) == Part::test) known = known_to_model(o.inference.model, manifest, images);
  if (!known.empty())
    std::fprintf(stderr, "WARNING: the model was trained on patients of %zu of these images, or chosen by them; the result is too good%s\n",
                 known.size(), listing(known, 5).c_str());
  const CacheOptions options = cache_options(o.data, spec.height, spec.width, loaded.threads());
  const ImageCache cache(plan_cache(manifest, images, options), manifest, images, resizer_for(*loaded.memory()), options);
  for (const ImageCache::Bad& bad : cache.bad()) std::fprintf(stderr, "skipped: %s\n", bad.why.c_str());

  metrics::Predictions p = loaded.predict(manifest, cache, cache.indices(), "evaluate", o.inference.quiet);
  p.probabilities = priors.adjust(std::move(p.probabilities));
  if (const std::string text = priors.text(); !text.empty()) std::fprintf(stderr, "%s\n", text.c_str());
  const metrics::Evaluation e = metrics::evaluate(p, {.threshold = spec.threshold, .positive = binary ? spec.positive : -1});

  nlohmann::ordered_json result = metrics::to_json(e);
  result["prior_shift"] = priors.json();
  nlohmann::ordered_json line = ledger_entry(o.part, data_hash(manifest, cache.indices(), cache.hashes()), result);
  if (const nlohmann::ordered_json shares = priors.json(); !shares.is_null()) line["prior_shift"] = shares;
  if (o.priors.store) line["stored"] = true;
  if (!known.empty()) line["known_to_model"] = known.size();
  add_to_ledger(o.inference.model, line);

  if (!o.predictions.empty()) write_predictions(o.predictions, manifest, cache.indices(), p, spec.positive, spec.threshold);
  if (o.inference.json) std::cout << result.dump(2) << "\n";
  else print(e, o.inference.model, o.part);
  if (const std::string stored = priors.store(o.inference.model); !stored.empty()) std::fprintf(stderr, "%s\n", stored.c_str());
}

}  // namespace

std::unique_ptr<Command> evaluate_command(CLI::App& program) {
  auto command = std::make_unique<Command>(
      program, "evaluate", "measure a model on labelled images; each use is written to the ledger beside the model",
      "  ptrain evaluate --model run1/best.h5 --data chest_xray\n"
      "  ptrain evaluate --model run1/best.h5 --data chest_xray --part val --split run1/split.csv --json\n"
      "  ptrain evaluate --model run1/best.h5 --data elsewhere --prior-shift --store    # for the class shares found there");
  const auto o = std::make_shared<EvaluateOptions>();
  bind(*command, o->inference);
  bind(*command, o->data);
  command->option("--part", o->part, "train, val, test");
  command->option("--split", o->split, "take the parts from this split.csv")->option_text("FILE.csv");
  command->option("--predictions", o->predictions, "write every image's probabilities")->option_text("P.csv");
  command->option("--threshold", o->threshold, "decide at this probability instead of the model's own")->option_text("P");
  bind(*command, o->priors);
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
