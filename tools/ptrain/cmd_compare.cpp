// ptrain compare: the same head on several frozen nets, and which differences between them are real.
#include <iostream>

#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/comparison.hpp"
#include "tools/ptrain/forecast.hpp"
#include "train/report_data.hpp"

namespace ptrain::cli {
namespace {

void run(const CompareOptions& o, const std::string& config) {
  const std::filesystem::path out = o.train.out;
  make_run_folder(out);
  if (o.train.resume) same_settings(read_text(out / "resolved.toml", "resuming"), config);
  Journal say(out / "log.txt", o.train.quiet, o.train.resume);
  Bench bench(o.train, config, read_folder(o.train.data.data, patient_rule(o.train.data)), [&](const std::string& line) { say(line); });
  Split split = whole_split(o.train, bench.manifest, out);
  keep_test_apart(bench.manifest, split, o.train.override_lock, bench.threads, bench.say);
  write_split(out / report_files::kSplit, bench.manifest, split);
  write_text(out / "resolved.toml", config);
  for (const std::string& note : split.notes) say(note);

  const Comparison c = compare(bench, o, split, out, o.train.resume);
  write_tables(c, out);
  nlohmann::ordered_json j = to_json(c, o);
  j["choice"] = {{"net", c.trained()[c.choice.chosen]->net}, {"why", c.choice.why}};
  write_text(out / "compare.json", j.dump(2) + "\n");
  if (o.train.json) std::cout << j.dump(2) << "\n";
  else std::cout << table(c) << "\n" << pair_table(c) << "\n" << c.choice.why << "\n";
}

}  // namespace

std::unique_ptr<Command> compare_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "compare", "train the same head on several frozen nets and say which differences are real",
                                "  ptrain compare --data chest_xray --weights-dir weights --out comparison\n"
                                "  ptrain compare --data chest_xray --weights formula --nets mobilenet_v2,resnet50 --out trial");
  const auto o = std::make_shared<CompareOptions>();
  o->train.fraction = 0.5;  // of the training images, the same for every net
  bind(*command, *o);
  command->app().add_flag("--resume", o->train.resume, "go on with the comparison in --out");
  command->run = [o, c = command.get()] {
    decide_automatic(o->train, to_screen(o->train.quiet));
    run(*o, c->resolved_toml());
  };
  return command;
}

}  // namespace ptrain::cli
