#include "tools/ptrain/train_options.hpp"

#include <sched.h>

#include <algorithm>
#include <cstdio>

#include <fmt/ranges.h>

#include "kernels/plugin.hpp"

#include "kernels/cpu/conv_choice.hpp"

namespace ptrain::cli {

void bind(Command& c, DataOptions& o) {
  c.option("--data", o.data, "folder of images: DIR/train/CLASS/…, DIR/val, DIR/test, or DIR/CLASS/…")->required()->option_text("DIR");
  c.option("--group-regex", o.group_regex, "what names the patient in a file name: the first group, or all that matches");
  c.option("--group-csv", o.group_csv, "table with the columns file and patient")->option_text("FILE.csv");
  c.option("--cache", o.cache, "where decoded images are kept: automatic, ram, file, none");
  c.option("--cache-memory", o.cache_memory, "MiB that the cache may take (0: half of what is free)");
  c.option("--bad-images", o.bad_images, "what to do with unreadable images: fail (all are named), skip");
}

void bind(Command& c, TrainOptions& o) {
  c.option("--net", o.net, "vgg16, mobilenet_v2, densenet121, inception_v3, resnet50");
  c.option("--weights", o.weights, "converted ImageNet weights, or none, or formula[:SALT]")->required()->option_text("FILE.h5");
  bind_training(c, o);
}

void bind_training(Command& c, TrainOptions& o) {
  bind(c, o.data);
  c.option("--out", o.out, "folder for the model, the history and the logs")->required()->option_text("RUN");
  c.option("--epochs", o.epochs, "epochs of the head on the frozen base, at most");
  c.option("--fine-tune-epochs", o.fine_tune_epochs, "epochs with the top of the base unfrozen, at most (0: none)");
  c.option("--fine-tune-top", o.fine_tune_top, "fraction of the base's layers that is unfrozen, counted as Keras counts them");
  c.option("--freeze-until", o.freeze_until, "instead: unfreeze this Keras layer and all after it");
  c.option("--lr", o.lr, "learning rate of the head");
  c.option("--fine-tune-lr", o.fine_tune_lr, "learning rate of the fine-tuning");
  c.option("--batch", o.batch, "images in a step; auto: 32, or what fits into memory")
      ->transform(CLI::Transformer(std::map<std::string, int64_t>{{"auto", kAutomatic}}));
  c.option("--augment", o.augment, "none, light, strong");
  c.option("--fine-tune-augment", o.fine_tune_augment, "the same for the fine-tuning (as --augment unless given)");
  c.option("--class-weights", o.class_weights, "auto (n / (classes · n_c)), none, or a number for each class: a,b");
  c.option("--monitor", o.monitor, "what decides on the best epoch: val_loss, val_auc");
  c.option("--patience", o.patience, "epochs without a better value after which a stage stops");
  c.option("--min-delta", o.min_delta, "what counts as better");
  c.option("--bn", o.bn, "unfrozen batch norms: inference (running statistics), frozen, train (statistics of the batch)");
  c.option("--positive", o.positive, "the class that sensitivity speaks of (the last by name unless given)");
  c.option("--val-fraction", o.val_fraction, "part of the training images that becomes the validation part, by patient");
  c.option("--fraction", o.fraction, "part of the training images that is used, by patient");
  c.option("--split", o.split, "use the parts of this split.csv")->option_text("FILE.csv");
  c.option("--dense", o.dense, "units of the head's dense layers");
  c.option("--dropout", o.dropout, "dropout after each of them");
  c.option("--l2", o.l2, "weight of the squared kernels of these in the loss");
  c.option("--optimizer", o.optimizer, "adam, adamw, sgd, rmsprop");
  c.option("--momentum", o.momentum, "of sgd and rmsprop");
  c.option("--weight-decay", o.weight_decay, "decoupled, as in AdamW");
  c.option("--schedule", o.schedule.kind, "learning rate: constant, cosine, exponential, plateau");
  c.option("--warmup-epochs", o.schedule.warmup_epochs, "of cosine");
  c.option("--decay-rate", o.schedule.decay_rate, "of exponential, per epoch");
  c.option("--plateau-factor", o.schedule.plateau_factor, "of plateau");
  c.option("--plateau-patience", o.schedule.plateau_patience, "of plateau");
  c.option("--image-size", o.image_size, "height and width of the net's input (0: its own, 224 or 299)");
  c.option("--precision", o.precision,
           "fp32, bf16, fp16 (of the base; weights, head and loss stay in fp32), auto: the fastest here, measured");
  c.option("--device", o.device, kDeviceHelp);
  c.option("--conv", o.conv, kConvHelp);
  c.option("--threads", o.threads, "threads on the CPU (0: all processors)");
  c.option("--seed", o.seed, "of all random numbers");
  c.option("--operating-point", o.operating_point, "what chooses the threshold on validation: youden, sens=S, spec=S, or a probability");
  c.flag("--override-lock", o.override_lock,
         "go on although the test part leaks into the others: what leaks is left out, and it is recorded");
  c.flag("--json", o.json, "write the result as JSON to stdout");
  c.flag("--quiet", o.quiet, "no progress");
}

namespace {

// A GPU without the library for it is a mistake that should be heard of; no GPU is not.
Device choose_device(const std::string& text) {
  if (text != "auto") return parse_device(text);
  if (count_gpus().count == 0) return {DeviceKind::cpu};
  if (!find_cuda_plugin().empty()) return {DeviceKind::cuda, 0};
  std::fprintf(stderr, "there is a GPU, but this build has no library for it: the CPU is used (the preset 'cuda' builds that library)\n");
  return {DeviceKind::cpu};
}

}  // namespace

std::shared_ptr<Memory> chosen_device(const std::string& device, const std::string& conv) {
  const std::shared_ptr<Memory> memory = open_device(choose_device(device));
  choose_convolutions(memory->backend(), conv);
  return memory;
}

void choose_convolutions(Backend& backend, const std::string& conv) {
  const cpu::ConvChoice choice = cpu::parse_conv_choice(conv);
  if (cpu::ConvAlgorithms* algorithms = cpu::conv_algorithms(backend)) algorithms->choose(choice);
}

int choose_threads(int64_t asked) {
  if (asked < 0 || asked > 1024) fail(ErrorKind::usage, "--threads must lie in 0 … 1024, not ", asked);
  if (asked > 0) return int(asked);
  cpu_set_t mine;
  return sched_getaffinity(0, sizeof mine, &mine) == 0 ? std::max(1, CPU_COUNT(&mine)) : 1;
}

DType compute_type(const std::string& precision) {
  if (precision == "fp32") return DType::float32;
  if (precision == "bf16") return DType::bfloat16;
  if (precision == "fp16") return DType::float16;
  fail(ErrorKind::usage, "--precision ", precision, ": known are fp32, bf16, fp16, and for trainings auto");
}

DType compute_type(const std::string& precision, const Memory& memory) {
  const DType compute = compute_type(precision);
  if (memory.backend().supports(compute)) return compute;
  const DeviceKind kind = memory.device().kind;
  if (kind == DeviceKind::cuda || kind == DeviceKind::cuda_sim)
    fail(ErrorKind::device, "--precision ", precision, ": ", memory.backend().name(), " does not compute in ", str(compute),
         ", which needs compute capability 8.0\n  use --precision fp16");
  fail(ErrorKind::usage, "--precision ", precision, ": ", memory.backend().name(), " does not compute in ", str(compute),
       "\n  the CPU's mixed precision is --precision bf16; fp16 runs on cuda, cuda-sim and reference");
}

std::shared_ptr<Backend> resizer_for(const Memory& memory) {
  return memory.backend().is_host() ? memory.shared_backend() : make_cpu_backend();
}

int workers_for(const Memory& memory, int threads) { return memory.backend().is_host() ? threads : 1; }

PatientRule patient_rule(const DataOptions& o) {
  if (!o.group_regex.empty() && !o.group_csv.empty()) fail(ErrorKind::usage, "--group-regex and --group-csv exclude each other");
  return {.regex = o.group_regex, .csv = o.group_csv};
}

CacheOptions cache_options(const DataOptions& o, int64_t h, int64_t w, int threads) {
  if (o.bad_images != "fail" && o.bad_images != "skip") fail(ErrorKind::usage, "--bad-images ", o.bad_images, ": known are fail, skip");
  if (o.cache_memory < 0) fail(ErrorKind::usage, "--cache-memory must not be negative");
  CacheOptions c;
  c.h = h, c.w = w;
  c.tier = parse_cache_tier(o.cache);
  c.ram_budget = o.cache_memory > 0 ? o.cache_memory << 20 : -1;
  c.threads = threads;
  c.bad_images = o.bad_images == "skip" ? BadImages::skip : BadImages::fail;
  c.hashes = true;
  return c;
}

OptimizerRule optimizer_rule(const TrainOptions& o) {
  OptimizerRule rule{.momentum = o.momentum, .weight_decay = o.weight_decay};
  if (o.optimizer == "adam") rule.kind = OptimizerKind::adam;
  else if (o.optimizer == "adamw") rule.kind = OptimizerKind::adamw;
  else if (o.optimizer == "sgd") rule.kind = OptimizerKind::sgd;
  else if (o.optimizer == "rmsprop") rule.kind = OptimizerKind::rmsprop;
  else fail(ErrorKind::usage, "--optimizer ", o.optimizer, ": known are adam, adamw, sgd, rmsprop");
  if (!(o.momentum >= 0 && o.momentum < 1)) fail(ErrorKind::usage, "--momentum must lie in [0, 1), not ", o.momentum);
  if (!(o.weight_decay >= 0)) fail(ErrorKind::usage, "--weight-decay must not be negative");
  if (o.optimizer == "adamw" && o.weight_decay == 0) rule.weight_decay = 0.004;  // Keras' default
  return rule;
}

int positive_class(const std::string& name, const std::vector<std::string>& classes) {
  return name.empty() ? int(classes.size()) - 1 : class_named("--positive", name, classes);
}

int class_named(const std::string& option, const std::string& name, const std::vector<std::string>& classes) {
  const auto it = std::find(classes.begin(), classes.end(), name);
  if (it != classes.end()) return int(it - classes.begin());
  fail(ErrorKind::usage, option, " ", name, ": the classes are ", fmt::format("{}", fmt::join(classes, ", ")));
}

namespace {

size_t fine_tune_cut(const TrainOptions& o, const Model& model) {
  if (o.freeze_until.empty()) return cut_for_top_fraction(model, o.fine_tune_top);
  std::vector<std::string> names;
  for (const Layer& layer : model.base_layers()) {
    if (layer.spec.name == o.freeze_until) return names.size();
    names.push_back(layer.spec.name);
  }
  const std::string near = nearest(o.freeze_until, names);
  fail(ErrorKind::usage, "--freeze-until ", o.freeze_until, ": ", model.net().name, " has no such layer",
       near.empty() ? "" : "; did you mean " + near + "?", "\n  ptrain nets --net ", model.net().name, " --layers lists them");
}

}  // namespace

FitOptions fit_options(const TrainOptions& o, const Model& model) {
  FitOptions f;
  f.stages.push_back({.name = "frozen",
                      .epochs = o.epochs,
                      .cut = model.base_layers().size(),
                      .learning_rate = o.lr,
                      .augment = augment_preset(o.augment)});
  f.stages.push_back({.name = "fine-tune",
                      .epochs = o.fine_tune_epochs,
                      .cut = fine_tune_cut(o, model),
                      .learning_rate = o.fine_tune_lr,
                      .augment = augment_preset(o.fine_tune_augment.empty() ? o.augment : o.fine_tune_augment)});
  f.batch = o.batch;
  f.seed = o.seed;
  f.class_weights = o.class_weights;
  f.monitor = o.monitor;
  f.patience = o.patience;
  f.min_delta = o.min_delta;
  f.bn = parse_bn_mode(o.bn);
  f.optimizer = optimizer_rule(o);
  f.schedule = o.schedule;
  f.compute = compute_type(o.precision);
  f.operating_point = parse_operating_point(o.operating_point);
  check(f);
  return f;
}

std::string version() { return PTRAIN_VERSION; }

}  // namespace ptrain::cli
