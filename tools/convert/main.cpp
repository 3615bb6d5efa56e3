// ptrain-convert FILE --out W.h5: a Keras weight file of any age becomes a model file, or a clear refusal.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "tools/convert/report.hpp"

namespace {

using namespace ptrain;
using namespace ptrain::convert;

constexpr char kAbout[] =
    "Converts a Keras file (.h5, .weights.h5, .keras; official or your own) into a model file for ptrain.\n"
    "Every tensor must be found and every tensor of the file used, or nothing is written.";
constexpr char kExamples[] =
    "examples:\n"
    "  ptrain-convert mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5 --out mobilenet_v2.h5\n"
    "  ptrain-convert my_classifier.keras --out model.h5 --classes NORMAL,PNEUMONIA\n"
    "  ptrain-convert model_of_others.weights.h5 --net vgg16 --allow-unused --out vgg16.h5\n"
    "  ptrain-convert unknown.h5 --check\n"
    "exit codes: 0 converted, 2 wrong usage, 4 refused";

}  // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app(kAbout, "ptrain-convert");
  app.footer(kExamples);
  ConvertOptions options;
  std::string file, out;
  bool check = false, json = false;
  app.add_option("FILE", file, "the Keras file")->required();
  app.add_option("--out", out, "the model file to write");
  app.add_option("--net", options.net, "vgg16, mobilenet_v2, densenet121, inception_v3, resnet50, or auto: find out")
      ->capture_default_str();
  app.add_option("--classes", options.classes, "names of a classifier's outputs, in order")->delimiter(',');
  app.add_flag("--allow-unused", options.allow_unused, "leave out tensors that do not belong to the net");
  app.add_flag("--check", check, "report only, write nothing");
  app.add_flag("--json", json, "the report as JSON on standard output");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : int(ErrorKind::usage);
  }
  try {
    if (out.empty() && !check) fail(ErrorKind::usage, "--out W.h5 is missing (or --check, to write nothing)");
    options.file = file;
    if (!check) options.out = out;
    const ConvertReport report = convert::convert(options, all_layouts());
    if (json) std::cout << report_json(options, report).dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
    else std::cout << report_text(options, report);
    return std::cout.flush() ? 0 : 1;
  } catch (const Error& e) {
    std::cerr << "error: " << printable(e.what()) << '\n';
    if (json)
      std::cout << nlohmann::json{{"ok", false}, {"file", file}, {"error", e.what()}}.dump(2, ' ', false,
                                                                                           nlohmann::json::error_handler_t::replace)
                << '\n';
    return int(e.kind());
  } catch (const std::exception& e) {
    std::cerr << "error: " << printable(e.what()) << '\n';
    return 1;
  }
}
