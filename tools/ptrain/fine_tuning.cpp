#include "tools/ptrain/fine_tuning.hpp"

#include <cmath>
#include <set>

#include "train/class_priors.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;

Json json(double x) { return std::isfinite(x) ? Json(x) : Json(nullptr); }

}  // namespace

std::filesystem::path model_of(const std::string& from) {
  const std::filesystem::path path(from);
  if (!std::filesystem::exists(path))
    fail(ErrorKind::usage, "--from ", from, ": there is no such file or folder; give a model (RUN/best.h5) or the folder of a run");
  if (!std::filesystem::is_directory(path)) return path;
  if (!std::filesystem::exists(path / report_files::kModel))
    fail(ErrorKind::weights, "--from ", from, ": there is no ", report_files::kModel, " in it; give the folder of a run that has one");
  return path / report_files::kModel;
}

Split with_all_images(const Manifest& manifest, const Split& split) {
  Split all = split;
  std::set<std::string> elsewhere;
  for (size_t i = 0; i < split.parts.size(); ++i)
    if (split.parts[i] == Part::val || split.parts[i] == Part::test) elsewhere.insert(manifest.entries[i].patient);
  for (size_t i = 0; i < split.parts.size(); ++i)
    if (split.parts[i] == Part::unused && manifest.entries[i].part != Part::test && !elsewhere.contains(manifest.entries[i].patient))
      all.parts[i] = Part::train;
  return all;
}

FineTuning fine_tune(Bench& bench, const std::filesystem::path& from, const Split& split, const std::filesystem::path& folder,
                     bool resume) {
  const TrainOptions& o = bench.options;
  FineTuning t{.from = from.string()};
  Model model = load_model(from, bench.memory);
  if (model.spec.classes.size() == bench.manifest.classes.size() && !model.spec.classes_named) model.spec.classes = bench.manifest.classes;
  if (model.spec.classes != bench.manifest.classes)
    fail(ErrorKind::data, "fine-tuning ", from.string(), ": it knows other classes than ", bench.manifest.root.string(), " has");
  set_priors(model.spec, {});  // validation is like the training
  set_precision(model, bench.compute);
  FitOptions options = fit_options(o, model);
  options.stages.erase(options.stages.begin());
  const StageOptions& stage = options.stages.at(0);
  if (stage.epochs == 0) fail(ErrorKind::usage, "fine-tuning for --fine-tune-epochs 0: nothing to do");
  t.layers = int64_t(model.base_layers().size()) - int64_t(stage.cut);
  if (stage.cut < model.base_layers().size()) t.unfrozen_from = model.base_layers()[stage.cut].spec.name;

  const FitData data = bench.data(split, model.spec.height);
  {
    freeze(model, {.cut = model.base_layers().size()}, options.bn);
    BaseRunner runner(model, bench.workers, runner_options(model, options));
    Predictor predictor(model, runner, bench.workers);
    t.before = predict(model, predictor, data.cache, data.val, data.patients);
  }
  t.before_evaluation = evaluate_at(t.before, model.spec, o.seed);
  model.spec.temperature = 1, model.spec.threshold = 0.5;
  bench.say(fmt::format("fine-tune   {}: {} of {} layers from {} on, learning rate {:g}, batch norms {}, augmentation {}, {}",
                        from.string(), t.layers, model.base_layers().size(), t.unfrozen_from, o.fine_tune_lr, o.bn,
                        o.fine_tune_augment.empty() ? o.augment : o.fine_tune_augment, describe(bench.manifest, data.train)));
  t.run = train_net(bench, model, options, split, folder, resume);
  if (model.spec.classes.size() == 2)
    t.difference = metrics::delong_paired(t.run.val.labels_against(model.spec.positive), t.run.val.scores(model.spec.positive),
                                          t.before.scores(model.spec.positive));
  t.rail = safety_rail({t.before, t.before_evaluation.metric("auc").value}, {t.run.val, t.run.val_evaluation.metric("auc").value});
  t.why = t.rail.why;
  if (std::isfinite(t.difference.p))
    t.why += fmt::format(" (DeLong's paired test: p = {:.4f}{})", t.difference.p,
                         t.difference.p < 0.05 ? "" : ", a difference inside the noise");
  return t;
}

std::string describe(const FineTuning& t) {
  const auto line = [](const char* what, const metrics::Evaluation& e) {
    std::string text = fmt::format("  {:<8}", what);
    for (const char* name : {"auc", "accuracy", "log_loss"}) {
      const metrics::Metric& m = e.metric(name);
      text += fmt::format("{} {:.4f} [{:.4f}, {:.4f}]  ", name, m.value, m.ci95.low, m.ci95.high);
    }
    return text + "\n";
  };
  return line("before", t.before_evaluation) + line("after", t.run.val_evaluation) + "  " + t.why;
}

Json to_json(const FineTuning& t, const TrainOptions& o) {
  return {{"folder", report_files::kFineTune},
          {"from", t.from},
          {"unfrozen_from", t.unfrozen_from},
          {"layers", t.layers},
          {"trained_parameters", t.run.trained_parameters},
          {"learning_rate", o.fine_tune_lr},
          {"bn", o.bn},
          {"augment", o.fine_tune_augment.empty() ? o.augment : o.fine_tune_augment},
          {"epochs", t.run.epochs},
          {"best_epoch", t.run.best_epoch},
          {"seconds", t.run.seconds},
          {"images_per_s", t.run.images_per_s},
          {"peak_mb", t.run.peak_mb},
          {"before", metrics::to_json(t.before_evaluation)},
          {"after", metrics::to_json(t.run.val_evaluation)},
          {"auc_difference", json(t.difference.difference)},
          {"auc_difference_ci95", metrics::to_json(t.difference.ci)},
          {"delong_p", json(t.difference.p)},
          {"rail", to_json(t.rail)},
          {"kept", t.kept()},
          {"why", t.why}};
}

}  // namespace ptrain::cli
