// ptrain: transfer learning of five nets on images. Commands in the style of git.
#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/train_options.hpp"

using namespace ptrain::cli;

int main(int argc, char** argv) {
  CLI::App program("Transfer learning of VGG16, MobileNetV2, DenseNet121, InceptionV3 and ResNet50 on images", "ptrain");
  program.set_version_flag("--version", "ptrain " + version());
  program.require_subcommand(1);
  program.footer("'ptrain help COMMAND' shows the options of a command and examples.");
  std::vector<std::unique_ptr<Command>> commands;
  for (const auto add : {experiment_command, check_command, train_command, compare_command, fine_tune_command, evaluate_command,
                         predict_command, explain_command, report_command, features_command, export_command, nets_command, doctor_command,
                         selftest_command, bench_command, kernels_command})
    commands.push_back(add(program));
  return ptrain::cli::main(program, commands, argc, argv);
}
