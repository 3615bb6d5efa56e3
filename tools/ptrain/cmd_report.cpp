// ptrain report: one HTML file of a run, for people.
#include <iostream>

#include "tools/ptrain/commands.hpp"
#include "tools/ptrain/report_pictures.hpp"

namespace ptrain::cli {
namespace {

struct ReportOptions {
  std::string run;
  PictureOptions pictures;
  bool no_pictures = false;
};

}  // namespace

std::unique_ptr<Command> report_command(CLI::App& program) {
  auto command =
      std::make_unique<Command>(program, "report", "write RUN/report.html, one self-contained page about an experiment or a training",
                                "  ptrain report run1\n"
                                "  ptrain report run1 --data /films/chest_xray     # the images have moved\n"
                                "  ptrain report run1 --no-pictures                # numbers and curves only: no model, no images needed");
  const auto o = std::make_shared<ReportOptions>();
  command->app().add_option("RUN", o->run, "folder of ptrain experiment or ptrain train")->required();
  command->option("--data", o->pictures.data, "where the images are, when they have moved")->option_text("DIR");
  command->option("--mistakes", o->pictures.mistakes, "how many of the worst mistakes are shown");
  command->option("--device", o->pictures.device, kDeviceHelp);
  command->option("--threads", o->pictures.threads, "threads on the CPU (0: all processors)");
  command->flag("--no-pictures", o->no_pictures, "do not open images or model");
  command->flag("--quiet", o->pictures.quiet, "no progress");
  command->run = [o] {
    o->pictures.pictures = !o->no_pictures;
    std::cout << make_report(o->run, o->pictures).string() << "\n";
  };
  return command;
}

}  // namespace ptrain::cli
