// ptrain export: a model for Keras or for an ONNX runtime.
#include <ranges>

#include <fmt/ranges.h>

#include "tools/export/exports.hpp"
#include "tools/ptrain/commands.hpp"

namespace ptrain::cli {
namespace {

struct ExportOptions {
  std::string model, format, out;
};

struct Format {
  const char *name, *end;
  void (*write)(const exports::ExportModel&, const std::filesystem::path&);
};
constexpr Format kFormats[] = {
    {"keras", ".keras", exports::write_keras},
    {"keras-weights", ".weights.h5", exports::write_keras_weights},
    {"keras-h5", ".h5", exports::write_keras_h5},
    {"onnx", ".onnx", exports::write_onnx},
};

const Format& find_format(const std::string& name) {
  for (const Format& f : kFormats)
    if (name == f.name) return f;
  fail(ErrorKind::usage, "--format ", name, ": known are ",
       fmt::format("{}", fmt::join(kFormats | std::views::transform(&Format::name), ", ")));
}

void run(const ExportOptions& o) {
  const Format& format = find_format(o.format);
  if (!o.out.ends_with(format.end) || (o.format == "keras-h5" && o.out.ends_with(".weights.h5")))
    fail(ErrorKind::usage, "--out ", o.out, ": files of this format are known by the ending ", format.end);
  std::error_code ignored;
  if (std::filesystem::equivalent(o.model, o.out, ignored)) fail(ErrorKind::usage, "--out would write over the model itself");
  const exports::ExportModel m = exports::load_for_export(o.model);
  format.write(m, o.out);
  fmt::print("{}: {}, {} layers, {} parameters, images {}x{}, {}\n", o.out, m.name, m.layers.size(), m.params.count(), m.height, m.width,
             o.format == "onnx" ? "preprocessing inside" : "to be preprocessed in the mode '" + m.preprocessing + "'");
}

}  // namespace

std::unique_ptr<Command> export_command(CLI::App& program) {
  auto command = std::make_unique<Command>(program, "export", "write a model for Keras 3 or for ONNX runtimes",
                                           "  ptrain export run1/best.h5 --format keras --out classifier.keras\n"
                                           "  ptrain export run1/best.h5 --format onnx --out classifier.onnx");
  const auto o = std::make_shared<ExportOptions>();
  command->option("MODEL", o->model, "a model file: trained, or converted")->required();
  command
      ->option(
          "--format", o->format,
          "keras (load_model), keras-weights (load_weights into the same model), keras-h5 (load_model; the old format), onnx (opset 17)")
      ->required();
  command->option("--out", o->out, "file to write; .keras, .weights.h5, .h5, .onnx")->required()->option_text("F");
  command->run = [o] { run(*o); };
  return command;
}

}  // namespace ptrain::cli
