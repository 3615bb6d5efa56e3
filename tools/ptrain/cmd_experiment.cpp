// ptrain experiment: check, split, compare, choose, fine-tune, calibrate, evaluate once, report. Each step is also a command.
#include <chrono>
#include <iostream>

#include "data/listing.hpp"
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/comparison.hpp"
#include "tools/ptrain/experiment_json.hpp"
#include "tools/ptrain/fine_tuning.hpp"
#include "tools/ptrain/forecast.hpp"
#include "tools/ptrain/locked_test.hpp"
#include "tools/ptrain/report_pictures.hpp"
#include "train/audit_report.hpp"
#include "train/interrupt.hpp"
#include "train/predictions_csv.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

using Json = nlohmann::ordered_json;

class Experiment {
 public:
  Experiment(const CompareOptions& options, const std::string& config) : o_(options), out_(options.train.out), config_(config) {
    make_run_folder(out_);
    if (o_.train.resume) {
      same_settings(read_text(out_ / "resolved.toml", "resuming"), config);
      if (std::filesystem::exists(out_ / report_files::kJson))
        earlier_notes_ =
            Json::parse(read_text(out_ / report_files::kJson, "resuming")).value("/data/notes"_json_pointer, std::vector<std::string>{});
    }
    journal_ = std::make_unique<Journal>(out_ / "log.txt", o_.train.quiet, o_.train.resume);
    bench_ = std::make_unique<Bench>(o_.train, config, read_folder(o_.train.data.data, patient_rule(o_.train.data)),
                                     [this](const std::string& line) { (*journal_)(line); });
    write_text(out_ / "resolved.toml", config);
    j_ = {{"schema", report_files::kSchema}, {"complete", false},         {"created", time_now()},
          {"ptrain_version", version()},     {"command", command_line()}, {"config", config_json(config)}};
    j_.update(machine_json(*bench_));
    j_["seconds"] = Json::object();
    say(fmt::format("ptrain {} on {}, {} threads", version(), str(bench_->memory->device()), bench_->threads));
  }

  void run() {
    step("check", [this] { check(); });
    step("split", [this] { split(); });
    step("compare", [this] { compare_nets(); });
    if (o_.train.fine_tune_epochs > 0) step("fine_tune", [this] { tune(); });
    step("calibrate", [this] { finish_model(); });
    step("evaluate", [this] { test(); });
    j_["hashes"] = hashes_json(out_, {report_files::kModel, report_files::kSplit, report_files::kValidation, report_files::kTest});
    j_["complete"] = true;
    double total = 0;
    for (const auto& [name, seconds] : j_["seconds"].items()) total += seconds.get<double>();
    j_["seconds"]["total"] = total;
    save();
    say(fmt::format("done in {}; everything is in {}", clock_text(total), out_.string()));
  }
  const Json& result() const { return j_; }

 private:
  void say(const std::string& line) { (*journal_)(line); }
  void save() { write_text(out_ / report_files::kJson, j_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"); }

  template <class F>
  void step(const char* name, const F& f) {
    const auto began = std::chrono::steady_clock::now();
    f();
    j_["seconds"][name] = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    save();  // so that an interrupted experiment has a report of what was done
  }

  int positive() const { return positive_class(o_.train.positive, bench_->manifest.classes); }

  void check() {
    const Audit audit = make_audit(bench_->manifest, positive(), bench_->threads);
    j_["audit"] = to_json(audit);
    for (const FileAudit& file : audit.files) bench_->manifest.entries[size_t(file.index)].sha256 = file.sha256;
    for (const std::string& note : audit.notes) say("check       " + note);
    if (audit.leaks.empty()) return;
    save();
    const std::string what =
        concat("checking ", bench_->manifest.root.string(), ": the test part is known to the others", listing(audit.leaks));
    if (!o_.train.override_lock)
      fail(ErrorKind::leak, what,
           "\n  remove these from training and validation, or give --override-lock, which leaves them out of both and records it");
    say("WARNING: --override-lock: " + what);
  }

  void split() {
    split_ = whole_split(o_.train, bench_->manifest, out_);
    const std::vector<std::string> leaks = keep_test_apart(bench_->manifest, split_, o_.train.override_lock, bench_->threads, bench_->say);
    write_split(out_ / report_files::kSplit, bench_->manifest, split_);
    std::vector<std::string> notes = bench_->manifest.notes;
    notes.insert(notes.end(), split_.notes.begin(), split_.notes.end());
    notes.insert(notes.end(), leaks.begin(), leaks.end());
    if (o_.train.resume && !earlier_notes_.empty()) notes = earlier_notes_;  // how the split was made is not in split.csv
    j_["data"] = data_json(*bench_, split_, positive(), notes);
    for (const std::string& note : split_.notes) say("split       " + note);
  }

  void compare_nets() {
    comparison_ = compare(*bench_, o_, split_, out_, o_.train.resume);
    write_tables(comparison_, out_);
    j_["compare"] = to_json(comparison_, o_);
    const auto trained = comparison_.trained();
    chosen_ = trained[comparison_.choice.chosen]->net;
    Json tied = Json::array();
    for (const size_t i : comparison_.choice.tied) tied.push_back(trained[i]->net);
    j_["choice"] = {{"net", chosen_}, {"why", comparison_.choice.why}, {"tied", tied}};
    model_ = out_ / report_files::kNets / chosen_ / "best.h5";
    say("\n" + table(comparison_) + "\n" + pair_table(comparison_));
    say("choice      " + comparison_.choice.why);
  }

  void tune() {
    const FineTuning t = fine_tune(*bench_, model_, split_, out_ / report_files::kFineTune, o_.train.resume);
    j_["fine_tune"] = to_json(t, o_.train);
    say(describe(t));
    if (t.kept()) model_ = out_ / report_files::kFineTune / "best.h5";
  }

  // The chosen file becomes RUN/best.h5. Its temperature and threshold were fitted on validation when its training ended.
  void finish_model() {
    write_text(out_ / report_files::kModel, read_text(model_, "copying the model"));
    const WeightFileReader file(out_ / report_files::kModel);
    j_["calibration"] = Json::parse(file.text("calibration"));
    j_["calibration"]["prior_shift"] = nullptr;
    j_["data"]["data_hash"] = file.text("data_hash");
    const std::filesystem::path predictions = model_.parent_path() / "predictions_val.csv";
    write_text(out_ / report_files::kValidation, read_text(predictions, "copying the predictions"));
    const ModelSpec spec = read_spec(file);
    j_["validation"] = metrics::to_json(evaluate_at(read_predictions(predictions).predictions, spec, o_.train.seed));
    say(fmt::format("calibrate   temperature {:.3f}, threshold {:.4f} ({}) of the model {}", spec.temperature, spec.threshold,
                    o_.train.operating_point, model_.string()));
  }

  void test() {
    const LockedTest locked = evaluate_once(*bench_, split_, out_, o_.train);
    j_["test"] = locked.evaluation ? metrics::to_json(*locked.evaluation) : Json(nullptr);
    j_["test_note"] = locked.note;
    j_["ledger"] = locked.ledger;
    if (locked.prior_shift) j_["calibration"]["prior_shift"] = *locked.prior_shift;
    say("test        " + locked.note);
    if (!locked.evaluation) return;
    for (const char* name : {"auc", "accuracy", "sensitivity", "specificity"}) {
      if (!locked.evaluation->binary() && std::string(name) == "sensitivity") continue;
      const metrics::Metric& m = locked.evaluation->metric(name);
      say(fmt::format("  {:<14}{:.4f}  [{:.4f}, {:.4f}]", name, m.value, m.ci95.low, m.ci95.high));
    }
  }

  const CompareOptions& o_;
  const std::filesystem::path out_;
  const std::string config_;
  std::vector<std::string> earlier_notes_;  // of the data, when an experiment goes on
  std::unique_ptr<Journal> journal_;
  std::unique_ptr<Bench> bench_;
  Json j_;
  Split split_;
  Comparison comparison_;
  std::string chosen_;
  std::filesystem::path model_;
};

void run(const CompareOptions& o, const std::string& config) {
  try {
    Experiment experiment(o, config);
    experiment.run();
    const std::filesystem::path page =
        make_report(o.train.out, {.device = o.train.device, .threads = o.train.threads, .quiet = o.train.quiet});
    if (!o.train.json) std::cout << page.string() << "\n";
    if (o.train.json) std::cout << experiment.result().dump(2) << "\n";
  } catch (const Interrupted& e) {
    throw Interrupted(e.signal(), concat(e.what(), "\n  or with the whole of it: ptrain experiment --resume --out ", o.train.out));
  }
}

}  // namespace

std::unique_ptr<Command> experiment_command(CLI::App& program) {
  auto command = std::make_unique<Command>(
      program, "experiment", "check, split, compare, choose, fine-tune, calibrate, evaluate once, report: all in one",
      "  ptrain experiment --data chest_xray --weights-dir weights --out run1\n"
      "  ptrain experiment --data chest_xray --weights-dir weights --weights formula --out run1     # nets without a file by formula\n"
      "  ptrain experiment --resume --out run1                                                      # after Ctrl-C");
  const auto o = std::make_shared<CompareOptions>();
  o->train.fraction = 0.5;  // of the training images, in the comparison
  o->train.fine_tune_augment = "strong";
  bind(*command, *o);
  command->app().add_flag("--resume", o->train.resume, "go on with the experiment in --out; what is finished is not done again");
  command->run = [o, c = command.get()] {
    decide_automatic(o->train, to_screen(o->train.quiet));
    run(*o, c->resolved_toml());
  };
  return command;
}

}  // namespace ptrain::cli
