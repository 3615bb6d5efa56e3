#include "tools/ptrain/forecast.hpp"

#include <chrono>

#include "layers/formula.hpp"
#include "train/class_weights.hpp"
#include "train/report/html.hpp"

namespace ptrain::cli {
namespace {

template <class F>
double seconds(F&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double mebibytes(int64_t bytes) { return double(bytes) / (1 << 20); }

int64_t memory_of_weights(const Model& model) {
  int64_t bytes = 0;
  for (const Param& p : model.params.list()) bytes += p.shape.size() * size_of(p.value.dtype());
  return bytes;
}

// The fastest of the types that the device computes in: each runs the frozen base over some images, and float32 gives way to one that is
// at least 5 % faster.
std::string fastest_precision(Model& model, Workers& workers, const Say& say) {
  constexpr int64_t kImages = 8;
  const int64_t h = model.spec.height, w = model.spec.width;
  const std::vector<uint8_t> picture = formula_picture(h, w, "precision");
  const ImageSource source = shown_source(model, {}, [&](int64_t) { return Shown{{picture.data(), h, w, 3, {}}, {}}; });
  const std::vector<int64_t> images(size_t(kImages), 0);
  freeze(model, {.name = "", .cut = model.base_layers().size()}, BnMode::inference);
  std::string best, told;
  double least = 0;
  for (const char* name : {"fp32", "bf16", "fp16"}) {
    const DType t = compute_type(name);
    const bool slow = t != DType::float32 && model.memory()->device().kind == DeviceKind::reference;  // half precision is emulated there
    if (slow || !model.memory()->backend().supports(t)) continue;
    set_precision(model, t);
    FitOptions options;
    options.compute = t, options.batch = kImages;
    BaseRunner runner(model, workers, runner_options(model, options));
    Predictor predictor(model, runner, workers);
    predictor.logits(images, source);
    double time = seconds([&] { predictor.logits(images, source); });
    for (int i = 0; i < 2; ++i) time = std::min(time, seconds([&] { predictor.logits(images, source); }));
    told += fmt::format("{}{} {:.1f}", told.empty() ? "" : ", ", name, double(kImages) / time);
    if (best.empty() || time < 0.95 * least) best = name, least = time;
  }
  say("precision   " + best + ", the fastest of (images/s) " + told);
  return best;
}

// 32, halved until a training with it fits into the memory that is free, a quarter of which is left for images.
int64_t fitting_batch(Model& model, Workers& workers, FitOptions o, const Say& say) {
  const int64_t free = model.memory()->backend().memory_info().free;
  o.batch = 32;
  while (o.batch > 1 && memory_of_weights(model) + memory_of_training(model, workers, o, 0) > free - free / 4) o.batch /= 2;
  say(fmt::format("batch       {}, with {:.0f} MiB of memory free", o.batch, mebibytes(free)));
  return o.batch;
}

}  // namespace

void decide_automatic(TrainOptions& o, const Say& say) {
  if (o.precision != "auto" && o.batch != kAutomatic) return;
  const std::shared_ptr<Memory> memory = chosen_device(o.device, o.conv);
  Model model(
      {.net = find_net(o.net).name, .height = image_side(o, o.net), .width = image_side(o, o.net), .head = {}, .classes = {"a", "b"}},
      memory);
  load_base(model, "formula", 0);
  Workers workers(memory->shared_backend(), workers_for(*memory, choose_threads(o.threads)));
  if (o.precision == "auto") o.precision = fastest_precision(model, workers, say);
  if (o.batch != kAutomatic) return;
  o.batch = 32;
  set_precision(model, compute_type(o.precision, *memory));
  o.batch = fitting_batch(model, workers, fit_options(o, model), say);
}

std::string describe_memory(Model& model, Workers& workers, const FitOptions& o, const ImageCache& cache) {
  const int64_t images = cache.ram_bytes(), weights = memory_of_weights(model),
                training = memory_of_training(model, workers, o, int64_t(cache.indices().size()));
  return fmt::format("memory      about {:.0f} MiB: images {:.0f}, weights {:.0f}, training {:.0f}", mebibytes(images + weights + training),
                     mebibytes(images), mebibytes(weights), mebibytes(training));
}

void forecast_time(Model& model, Workers& workers, const FitData& data, const FitOptions& o, const Say& say) {
  std::vector<int64_t> counts(model.spec.classes.size(), 0);
  for (const int64_t i : data.train) ++counts.at(size_t(data.cache.label(i)));
  const int64_t n = int64_t(data.train.size()), steps = (n + o.batch - 1) / o.batch;
  for (const StageOptions& stage : o.stages) {
    if (stage.epochs == 0) continue;
    freeze(model, stage, o.bn);
    Stepper stepper(model, workers,
                    {.runner = runner_options(model, o),
                     .rule = o.optimizer,
                     .class_weights = class_weights(o.class_weights, counts, model.spec.classes),
                     .seed = o.seed,
                     .scaling = scaling_of(o)});
    const ImageSource source = augmented_source(model, data.cache, stage.augment, o.seed, 0);
    StepInput batch;
    for (int64_t i = 0; i < std::min(n, o.batch); ++i)
      batch.images.push_back(data.train[size_t(i)]), batch.labels.push_back(data.cache.label(batch.images.back()));
    double step = 0;
    for (int i = 0; i < 2; ++i)  // the first one packs weights and makes primitives
      step = seconds([&] {
        stepper.prepare(batch, source);
        stepper.step(stage.learning_rate);
      });
    Predictor predictor(model, stepper.runner(), workers);
    const std::span some = std::span(data.val).first(std::min<size_t>(data.val.size(), 64));
    const double one = seconds([&] { predictor.logits(some, plain_source(model, data.cache)); }) / double(some.size());
    const double epoch = step * double(steps) + one * double(data.val.size());
    say(fmt::format(
        "stage '{}': {} numbers are trained, {} steps of {} images in an epoch, {:.3f} s a step; an epoch {}, {} epochs {} at most",
        stage.name, model.params.count(true), steps, o.batch, step, report::duration(epoch), stage.epochs,
        report::duration(epoch * double(stage.epochs))));
  }
  say("nothing was written: --dry-run");
}

}  // namespace ptrain::cli
