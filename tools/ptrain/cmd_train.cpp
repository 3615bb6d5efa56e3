// ptrain train: a head on the frozen base, then the top of the base; the best weights are kept.
#include <sys/resource.h>

#include <cstdio>
#include <iostream>

#include "data/data_hash.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {
namespace {

// Options that may differ from the interrupted run's: they change no result.
bool may_differ(const std::string& key) {
  for (const char* k : {"threads", "json", "quiet", "epochs", "fine-tune-epochs", "cache", "cache-memory", "out", "data"})
    if (key == k) return true;
  return false;
}

std::map<std::string, std::string> settings(const std::string& toml) {
  std::map<std::string, std::string> values;
  std::istringstream in(toml);
  for (std::string line; std::getline(in, line);)
    if (const size_t equals = line.find(" = "); equals != std::string::npos) values[line.substr(0, equals)] = line.substr(equals + 3);
  return values;
}

void same_settings(const std::string& before, const std::string& now) {
  const auto old = settings(before);
  for (const auto& [key, value] : settings(now))
    if (const auto it = old.find(key); it != old.end() && it->second != value && !may_differ(key))
      fail(ErrorKind::usage, "resuming: --", key, " was ", it->second, " when the run began and is ", value, " now\n  leave it out: --resume takes the options of the run");
}

std::string describe(const Manifest& manifest, const std::vector<int64_t>& images) {
  const std::vector<int64_t> counts = manifest.class_counts(images);
  std::string text = fmt::format("{} images (", images.size());
  for (size_t c = 0; c < counts.size(); ++c) text += fmt::format("{}{} {}", c ? ", " : "", manifest.classes[c], counts[c]);
  return text + ")";
}

int64_t peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss / 1024;
}

class Train {
 public:
  Train(const TrainOptions& options, std::string config) : o_(options), config_(std::move(config)), threads_(choose_threads(o_.threads)) {}

  void run() {
    const std::filesystem::path out = o_.out;
    std::unique_ptr<WeightFileReader> state;
    std::optional<Position> from;
    if (o_.resume) {
      if (!std::filesystem::exists(out / "last.h5"))
        fail(ErrorKind::usage, "resuming: there is no ", (out / "last.h5").string(), "; a run writes it after each epoch and when it is interrupted\n  without --resume the training begins anew");
      state = std::make_unique<WeightFileReader>(out / "last.h5");
      same_settings(state->text("config"), config_);
      from = read_position(*state);
    }
    const std::shared_ptr<Memory> memory = open_device(choose_device(o_.device));
    choose_convolutions(memory, o_.conv);
    const DType compute = compute_type(o_.precision, *memory);

    Manifest manifest = read_folder(o_.data.data, patient_rule(o_.data));
    const Split split = make_split(manifest, out);
    const std::vector<int64_t> train = split.of(Part::train), val = split.of(Part::val);
    Model model(spec(manifest), memory);
    const FitOptions fit_settings = fit_options(o_, model);

    RunFolder run(out, stderr_screen(o_.quiet), from ? std::optional(from->epoch) : std::nullopt);
    if (!from) {
      write_split(run.split(), manifest, split);
      run.write_text("resolved.toml", config_);
    }
    run.message(fmt::format("ptrain {} on {}, {} thread{}", version(), str(memory->device()), threads_, threads_ == 1 ? "" : "s"));
    for (const std::string& note : manifest.notes) run.message(note);
    for (const std::string& note : split.notes) run.message(note);
    if (!split.test_patients_in_training.empty())
      run.message(fmt::format("warning: {} patients of the test part are in the training data as well, the first is {}; results on the test part will be too good",
                              split.test_patients_in_training.size(), split.test_patients_in_training.front()));
    run.message("training    " + describe(manifest, train));
    run.message("validation  " + describe(manifest, val));

    if (from) load_weights(model.params, *state);
    else {
      const std::vector<std::string> left_out = load_base(model, o_.weights, o_.seed);
      run.message("weights     " + o_.weights + (left_out.empty() ? "" : ": the ImageNet top (" + left_out.front() + (left_out.size() > 1 ? ", …" : "") + ") is left out, a new head takes its place"));
    }
    set_precision(model, compute);

    std::vector<int64_t> all = train;
    all.insert(all.end(), val.begin(), val.end());
    const std::unique_ptr<ImageCache> filled = fill(manifest, all, memory, run);
    const ImageCache& cache = *filled;
    const auto readable = [&](const std::vector<int64_t>& images) {
      std::vector<int64_t> good;
      for (const int64_t i : images)
        if (std::none_of(cache.bad().begin(), cache.bad().end(), [&](const ImageCache::Bad& b) { return b.index == i; })) good.push_back(i);
      return good;
    };
    std::vector<std::string> patients;
    for (const Entry& e : manifest.entries) patients.push_back(e.patient);
    const FitData data{cache, readable(train), readable(val), patients};
    if (data.train.empty() || data.val.empty()) fail(ErrorKind::data, "no readable images are left to train or to validate with");

    const Attributes extra{{"config", config_}, {"data_hash", data_hash(manifest, cache.indices(), cache.hashes())}, {"ptrain_version", version()}};
    Workers workers(memory->shared_backend(), workers_for(*memory, threads_));
    Fit fit(model, workers, data, fit_settings, run, extra);
    fit.run(from, state.get());
    report(run, model);
  }

 private:
  Split make_split(Manifest& manifest, const std::filesystem::path& out) const {
    if (o_.resume) return read_split(out / "split.csv", manifest);
    if (!o_.split.empty()) return read_split(o_.split, manifest);
    const Split split = split_by_patient(manifest, {.val_fraction = o_.val_fraction, .seed = o_.seed});
    return take_fraction(manifest, split, o_.fraction, o_.seed);
  }

  ModelSpec spec(const Manifest& manifest) const {
    const NetInfo& net = find_net(o_.net);
    ModelSpec s{.net = o_.net, .classes = manifest.classes};
    s.height = s.width = o_.image_size > 0 ? o_.image_size : net.input_size;
    if (o_.dense.size() != o_.dropout.size()) fail(ErrorKind::usage, "--dense has ", o_.dense.size(), " layers, --dropout ", o_.dropout.size(), " rates: as many are needed");
    for (const int64_t units : o_.dense)
      if (units < 1 || units > 1 << 16) fail(ErrorKind::usage, "--dense: ", units, " units are not possible");
    for (const double rate : o_.dropout)
      if (!(rate >= 0 && rate < 1)) fail(ErrorKind::usage, "--dropout must lie in [0, 1), not ", rate);
    if (!(o_.l2 >= 0)) fail(ErrorKind::usage, "--l2 must not be negative");
    s.head = {.dense = o_.dense, .dropout = {o_.dropout.begin(), o_.dropout.end()}, .l2 = o_.l2, .classes = int64_t(manifest.classes.size())};
    s.positive = positive_class(o_.positive, manifest.classes);
    return s;
  }

  std::unique_ptr<ImageCache> fill(const Manifest& manifest, const std::vector<int64_t>& images, const std::shared_ptr<Memory>& memory, RunFolder& run) const {
    const NetInfo& net = find_net(o_.net);
    const int64_t side = o_.image_size > 0 ? o_.image_size : net.input_size;
    CacheOptions options = cache_options(o_.data, side, side, threads_);
    const CachePlan plan = plan_cache(manifest, images, options);
    run.message(str(plan));
    auto cache = std::make_unique<ImageCache>(plan, manifest, images, resizer_for(*memory), options);
    for (const ImageCache::Bad& bad : cache->bad()) run.message("skipped: " + bad.why);
    return cache;
  }

  void report(RunFolder& run, const Model& model) const {
    const WeightFileReader best(run.best());
    run.message(fmt::format("best model  {} (stage '{}', epoch {}, val_auc {:.4f}, val_loss {:.4f}, threshold {:.4f})", run.best().string(), best.text("stage"), best.integer("epoch") + 1,
                            best.number("val_auc"), best.number("val_loss"), model.spec.threshold));
    run.message(fmt::format("peak memory {} MiB", peak_megabytes()));
    if (!o_.json) return;
    nlohmann::ordered_json j{{"model", run.best().string()}, {"stage", best.text("stage")}, {"epoch", best.integer("epoch")}};
    for (const char* name : {"loss", "accuracy", "val_loss", "val_accuracy", "val_auc"}) j[name] = best.number(name);
    j["threshold"] = model.spec.threshold;
    j["peak_rss_mb"] = peak_megabytes();
    j["validation"] = nlohmann::ordered_json::parse(best.text("validation"));
    std::cout << j.dump(2) << "\n";
  }

  const TrainOptions& o_;
  std::string config_;
  int threads_;
};

}  // namespace

std::unique_ptr<Command> train_command(CLI::App& program) {
  auto command = std::make_unique<Command>(program, "train", "train a head on the frozen base, then fine-tune the top of the base",
                                           "  ptrain train --weights mobilenet_v2.h5 --data chest_xray --out run1\n"
                                           "  ptrain train --weights mobilenet_v2.h5 --data chest_xray --out run2 --augment strong --fine-tune-top 0.5 --monitor val_auc\n"
                                           "  ptrain train --resume --out run1        # after Ctrl-C, or to train for more epochs");
  const auto o = std::make_shared<TrainOptions>();
  bind(*command, *o);
  command->app().add_flag("--resume", o->resume, "go on with the run in --out");
  command->run = [o, c = command.get()] { Train(*o, c->resolved_toml()).run(); };
  return command;
}

}  // namespace ptrain::cli
