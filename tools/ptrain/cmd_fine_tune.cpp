// ptrain fine-tune: unfreezes the top of a trained net at a low rate, and keeps the result only when validation says it is not worse.
#include <iostream>

#include "data/listing.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/fine_tuning.hpp"
#include "tools/ptrain/forecast.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

struct FineTuneOptions {
  TrainOptions train;
  std::string from;
};

// What the model was trained on is in the split.csv beside it. A test part with these patients says nothing about it any more, and unlike
// images that leak inside a folder this cannot be mended by leaving some out.
void refuse_known_test(const FineTuneOptions& o, const std::filesystem::path& model, const Manifest& manifest, const Say& say) {
  const std::vector<std::string> leaks = known_to_model(model, manifest, manifest.of(Part::test));
  if (leaks.empty()) return;
  const std::string what =
      fmt::format("the model {} was trained on patients of the test part of {}", o.from, manifest.root.string()) + listing(leaks);
  if (!o.train.override_lock)
    fail(ErrorKind::leak, "fine-tuning: ", what,
         "\n  it cannot be tested on them; give other data, or --override-lock, which goes on and says so");
  say("WARNING: --override-lock: " + what + "\n  a result on this test part would be too good");
}

// The split that the model was trained with: other validation images would be ones that it knows.
Split split_of(const FineTuneOptions& o, const std::filesystem::path& model, Manifest& manifest, const Say& say) {
  TrainOptions options = o.train;
  const std::filesystem::path beside = model.parent_path() / report_files::kSplit;
  refuse_known_test(o, model, manifest, say);
  if (options.split.empty() && std::filesystem::exists(beside)) options.split = beside.string();
  if (options.split.empty())
    say("WARNING: there is no split.csv beside the model: validation images may be ones that it was trained on; give --split");
  const Split split = with_all_images(manifest, whole_split(options, manifest, o.train.out));
  return take_fraction(manifest, split, o.train.fraction, o.train.seed);
}

void run(const FineTuneOptions& o, const std::string& config) {
  const std::filesystem::path from = model_of(o.from), out = o.train.out;
  make_run_folder(out);
  std::error_code ignored;
  if (std::filesystem::equivalent(from.parent_path().empty() ? "." : from.parent_path(), out, ignored))
    fail(ErrorKind::usage, "--out ", o.train.out, " is the folder of the model itself; give another one");
  if (o.train.resume) same_settings(read_text(out / "resolved.toml", "resuming"), config);
  const Say say = [quiet = o.train.quiet](const std::string& line) {
    if (!quiet) std::cerr << line << "\n";
  };
  Bench bench(o.train, config, read_folder(o.train.data.data, patient_rule(o.train.data)), say);
  Split split = split_of(o, from, bench.manifest, say);
  keep_test_apart(bench.manifest, split, o.train.override_lock, bench.threads, say);
  write_text(out / "resolved.toml", config);

  const FineTuning t = fine_tune(bench, from, split, out, o.train.resume);
  write_text(out / "fine_tune.json", to_json(t, o.train).dump(2) + "\n");
  if (!t.kept()) {  // the run is not to be resumed: its best.h5 is another model now
    write_text(out / report_files::kModel, read_text(from, "copying the model"));
    std::filesystem::remove(out / "run.json");
  }
  if (o.train.json) std::cout << to_json(t, o.train).dump(2) << "\n";
  else std::cout << describe(t) << "\nthe model: " << (out / report_files::kModel).string() << "\n";
}

}  // namespace

std::unique_ptr<Command> fine_tune_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "fine-tune", "unfreeze the top of a trained net; kept only when it is not worse on validation",
                                "  ptrain fine-tune --from run1 --data chest_xray --out run1_tuned\n"
                                "  ptrain fine-tune --from run1/nets/vgg16/best.h5 --data chest_xray --out tuned --fine-tune-top 0.5");
  const auto o = std::make_shared<FineTuneOptions>();
  o->train.fine_tune_augment = "strong";
  command->option("--from", o->from, "the model to begin with, or the folder of its run")->required()->option_text("MODEL|RUN");
  bind_training(*command, o->train);
  command->app().add_flag("--resume", o->train.resume, "go on with the fine-tuning in --out");
  command->run = [o, c = command.get()] {
    decide_automatic(o->train, to_screen(o->train.quiet));
    run(*o, c->resolved_toml());
  };
  return command;
}

}  // namespace ptrain::cli
