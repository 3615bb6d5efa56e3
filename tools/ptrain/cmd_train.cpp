// ptrain train: a head on the frozen base, then the top of the base; the best weights are kept.
#include <cstdio>
#include <iostream>

#include "data/data_hash.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/forecast.hpp"
#include "tools/ptrain/training.hpp"

namespace ptrain::cli {
namespace {

class Train {
 public:
  Train(const TrainOptions& options, std::string config) : o_(options), config_(std::move(config)), threads_(choose_threads(o_.threads)) {}

  void run() {
    const std::filesystem::path out = o_.out;
    std::unique_ptr<WeightFileReader> state;
    std::optional<Position> from;
    if (o_.resume) {
      if (!std::filesystem::exists(out / "last.h5"))
        fail(ErrorKind::usage, "resuming: there is no ", (out / "last.h5").string(),
             "; a run writes it after each epoch and when it is interrupted\n  without --resume the training begins anew");
      state = std::make_unique<WeightFileReader>(out / "last.h5");
      same_settings(state->text("config"), config_);
      from = read_position(*state);
    }
    const std::shared_ptr<Memory> memory = chosen_device(o_.device, o_.conv);
    const DType compute = compute_type(o_.precision, *memory);

    Manifest manifest = read_folder(o_.data.data, patient_rule(o_.data));
    TrainOptions options = o_;
    if (o_.resume) options.split = (out / "split.csv").string(), options.fraction = 1;
    Split split = make_split(options, manifest);
    std::vector<std::string> leaks;  // what was said before there was a log
    keep_test_apart(manifest, split, o_.override_lock, threads_, [&](const std::string& line) { leaks.push_back(line); });
    const std::vector<int64_t> train = split.of(Part::train), val = split.of(Part::val);
    Model model(model_spec(o_, o_.net, manifest), memory);
    const FitOptions fit_settings = fit_options(o_, model);
    Workers workers(memory->shared_backend(), workers_for(*memory, threads_));
    if (o_.dry_run) return forecast(model, workers, manifest, split, fit_settings, compute);

    RunFolder run(out, stderr_screen(o_.quiet), from ? std::optional(from->epoch) : std::nullopt);
    if (!from) {
      write_split(run.split(), manifest, split);
      run.write_text("resolved.toml", config_);
    }
    run.message(fmt::format("ptrain {} on {}, {} thread{}", version(), str(memory->device()), threads_, threads_ == 1 ? "" : "s"));
    for (const std::string& note : manifest.notes) run.message(note);
    for (const std::string& note : split.notes) run.message(note);
    for (const std::string& line : leaks) run.message(line);
    run.message("training    " + describe(manifest, train));
    run.message("validation  " + describe(manifest, val));

    if (from) load_weights(model.params, *state);
    else {
      const std::vector<std::string> left_out = load_base(model, o_.weights, o_.seed);
      run.message("weights     " + o_.weights +
                  (left_out.empty() ? ""
                                    : ": the ImageNet top (" + left_out.front() + (left_out.size() > 1 ? ", …" : "") +
                                          ") is left out, a new head takes its place"));
    }
    set_precision(model, compute);

    std::vector<int64_t> all = train;
    all.insert(all.end(), val.begin(), val.end());
    const auto cache =
        fill_cache(o_, image_side(o_, o_.net), manifest, all, memory, threads_, [&](const std::string& line) { run.message(line); });
    const FitData data = fit_data(manifest, split, *cache);
    run.message(describe_memory(model, workers, fit_settings, *cache));

    const Attributes extra{
        {"config", config_}, {"data_hash", data_hash(manifest, cache->indices(), cache->hashes())}, {"ptrain_version", version()}};
    Fit fit(model, workers, data, fit_settings, run, extra);
    fit.run(from, state.get());
    report(run, model);
  }

 private:
  void forecast(Model& model, Workers& workers, const Manifest& manifest, const Split& split, const FitOptions& settings,
                DType compute) const {
    const Say say = to_screen(false);
    load_base(model, o_.weights, o_.seed);
    set_precision(model, compute);
    std::vector<int64_t> all = split.of(Part::train);
    for (const int64_t i : split.of(Part::val)) all.push_back(i);
    const auto cache = fill_cache(o_, image_side(o_, o_.net), manifest, all, model.memory(), threads_, say);
    say(describe_memory(model, workers, settings, *cache));
    forecast_time(model, workers, fit_data(manifest, split, *cache), settings, say);
    say(fmt::format("peak memory {} MiB", peak_memory_megabytes()));
  }

  void report(RunFolder& run, const Model& model) const {
    const WeightFileReader best(run.best());
    run.message(fmt::format("best model  {} (stage '{}', epoch {}, val_auc {:.4f}, val_loss {:.4f}, threshold {:.4f})", run.best().string(),
                            best.text("stage"), best.integer("epoch") + 1, best.number("val_auc"), best.number("val_loss"),
                            model.spec.threshold));
    run.message(fmt::format("peak memory {} MiB", peak_memory_megabytes()));
    if (!o_.json) return;
    nlohmann::ordered_json j{{"model", run.best().string()}, {"stage", best.text("stage")}, {"epoch", best.integer("epoch")}};
    for (const char* name : {"loss", "accuracy", "val_loss", "val_accuracy", "val_auc"}) j[name] = best.number(name);
    j["threshold"] = model.spec.threshold;
    j["peak_rss_mb"] = peak_memory_megabytes();
    j["validation"] = nlohmann::ordered_json::parse(best.text("validation"));
    std::cout << j.dump(2) << "\n";
  }

  const TrainOptions& o_;
  std::string config_;
  int threads_;
};

}  // namespace

std::unique_ptr<Command> train_command(CLI::App& program) {
  auto command = std::make_unique<Command>(
      program, "train", "train a head on the frozen base, then fine-tune the top of the base",
      "  ptrain train --weights mobilenet_v2.h5 --data chest_xray --out run1\n"
      "  ptrain train --weights mobilenet_v2.h5 --data chest_xray --out run2 --augment strong --fine-tune-top 0.5 --monitor val_auc\n"
      "  ptrain train --resume --out run1        # after Ctrl-C, or to train for more epochs");
  const auto o = std::make_shared<TrainOptions>();
  bind(*command, *o);
  command->app().add_flag("--resume", o->resume, "go on with the run in --out");
  command->app().add_flag("--dry-run", o->dry_run, "say what memory and time the training will take, and end without writing anything");
  command->run = [o, c = command.get()] {
    decide_automatic(*o, to_screen(o->quiet));
    Train(*o, c->resolved_toml()).run();
  };
  return command;
}

}  // namespace ptrain::cli
