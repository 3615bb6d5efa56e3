#include "tools/ptrain/inference.hpp"

#include <mutex>

namespace ptrain::cli {
namespace {

constexpr int64_t kDeviceBatch = 32;  // images in one pass where one image does not fill the device

Model frozen_model(const InferenceOptions& o, const std::shared_ptr<Memory>& memory) {
  const DType compute = compute_type(o.precision, *memory);
  Model model = load_model(o.model, memory);
  set_precision(model, compute);
  freeze(model, {.name = "", .cut = model.base_layers().size()}, BnMode::inference);
  return model;
}

}  // namespace

void bind(Command& c, InferenceOptions& o) {
  c.option("--model", o.model, "a trained model: RUN/best.h5, or a classifier that ptrain-convert wrote")
      ->required()
      ->option_text("MODEL.h5");
  c.option("--precision", o.precision, "fp32, bf16, fp16");
  c.option("--device", o.device, kDeviceHelp);
  c.option("--conv", o.conv, kConvHelp);
  c.option("--threads", o.threads, "threads on the CPU (0: all processors)");
  c.flag("--json", o.json, "write JSON to stdout");
  c.flag("--quiet", o.quiet, "no progress");
}

LoadedModel::LoadedModel(const InferenceOptions& o)
    : threads_(choose_threads(o.threads)),
      memory_(chosen_device(o.device, o.conv)),
      model_(frozen_model(o, memory_)),
      workers_(memory_->shared_backend(), workers_for(*memory_, threads_)),
      runner_(model_, workers_,
              {.shard = memory_->backend().is_host() ? 1 : kDeviceBatch, .group = 1, .compute = compute_type(o.precision)}),
      predictor_(model_, runner_, workers_) {
  if (!o.quiet) std::fprintf(stderr, "%s on %s\n", o.model.c_str(), str(memory_->device()).c_str());
}

metrics::Predictions LoadedModel::predict(const Manifest& manifest, const ImageCache& cache, std::span<const int64_t> images,
                                          const std::string& what, bool quiet) {
  std::vector<std::string> patients;
  for (const Entry& e : manifest.entries) patients.push_back(e.patient);
  Progress progress(stderr_screen(quiet));
  progress.begin_epoch({.name = what, .number = 1, .epochs = 1, .steps = int64_t(images.size())});
  std::mutex mutex;
  int64_t shown = 0;
  return ptrain::predict(model_, predictor_, cache, images, patients, nullptr, [&](int64_t done) {
    const std::lock_guard lock(mutex);
    for (; shown < done; ++shown) progress.step(1, 0);
  });
}

}  // namespace ptrain::cli
