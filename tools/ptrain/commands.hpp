// defines: one function a command, which adds it to the program
#pragma once

#include "tools/ptrain/cli.hpp"

namespace ptrain::cli {

std::unique_ptr<Command> experiment_command(CLI::App& program);
std::unique_ptr<Command> check_command(CLI::App& program);
std::unique_ptr<Command> train_command(CLI::App& program);
std::unique_ptr<Command> compare_command(CLI::App& program);
std::unique_ptr<Command> fine_tune_command(CLI::App& program);
std::unique_ptr<Command> evaluate_command(CLI::App& program);
std::unique_ptr<Command> predict_command(CLI::App& program);
std::unique_ptr<Command> explain_command(CLI::App& program);
std::unique_ptr<Command> report_command(CLI::App& program);
std::unique_ptr<Command> features_command(CLI::App& program);
std::unique_ptr<Command> export_command(CLI::App& program);
std::unique_ptr<Command> nets_command(CLI::App& program);
std::unique_ptr<Command> doctor_command(CLI::App& program);
std::unique_ptr<Command> bench_command(CLI::App& program);
std::unique_ptr<Command> selftest_command(CLI::App& program);
std::unique_ptr<Command> kernels_command(CLI::App& program);

}  // namespace ptrain::cli
