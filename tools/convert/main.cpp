// ptrain-convert FILE --out W.h5: a Keras weight file of any age becomes a model file, or a clear refusal.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <iostream>

#include "nets/nets.hpp"
#include "nets/official_files.hpp"
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

// For tools/fetch-weights. Files that are no longer published are left out.
void list_official() {
  const std::vector<NetLayout> layouts = all_layouts();
  for (const OfficialFile& f : official_files())
    if (*f.path)
      std::cout << find_layout(layouts, f.keras_net).net << '\t' << (f.top ? "top" : "notop") << '\t' << f.path << '\t'
                << (*f.md5 ? f.md5 : "-") << '\t' << (f.bytes ? std::to_string(f.bytes) : "-") << '\n';
  throw CLI::Success();
}

void check_preprocessing(const std::string& mode) try { preprocess_of(mode); } catch (const Error& e) {
  fail(ErrorKind::usage, "--preprocessing: ", e.what());
}

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
  app.add_option(
      "--preprocessing", options.preprocessing,
      "how a classifier wants its images: caffe, tf, torch, or 'rescale S O' for v*S+O of values 0 to 255 (the net's own unless given)");
  app.add_flag("--allow-unused", options.allow_unused, "leave out tensors that do not belong to the net");
  app.add_flag("--check", check, "report only, write nothing");
  app.add_flag("--json", json, "the report as JSON on standard output");
  app.add_flag_callback("--list-official", list_official, "print the table of official files (net, variant, path, md5, bytes) and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : int(ErrorKind::usage);
  }
  try {
    if (out.empty() && !check) fail(ErrorKind::usage, "--out W.h5 is missing (or --check, to write nothing)");
    if (!options.preprocessing.empty()) check_preprocessing(options.preprocessing);
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
