#include "tools/ptrain/bench_run.hpp"

#include <sys/resource.h>

#include <algorithm>
#include <chrono>

#include "kernels/meta/meta.hpp"
#include "kernels/profile.hpp"
#include "layers/formula.hpp"
#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {
namespace {

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

double cpu_seconds() {
  rusage u{};
  getrusage(RUSAGE_SELF, &u);
  const auto s = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return s(u.ru_utime) + s(u.ru_stime);
}

FitOptions fit_options_of(const BenchCase& b) {
  FitOptions o;
  o.batch = b.batch;
  o.bn = b.mode == "full" ? BnMode::train : parse_bn_mode(b.bn);
  o.compute = compute_type(b.precision);
  return o;
}

// A model with formula weights and a few batches of random pictures of three channels.
class Subject {
 public:
  explicit Subject(const BenchCase& b) : fit_(fit_options_of(b)), memory_(open_device({DeviceKind::cpu})), model_(spec(b), memory_) {
    choose_convolutions(memory_->backend(), b.conv);
    load_base(model_, "formula", 0);
    if (!memory_->backend().supports(fit_.compute))
      fail(ErrorKind::usage, "--precision ", b.precision, ": the cpu does not compute in ", str(fit_.compute));
    set_precision(model_, fit_.compute);
    const size_t layers = model_.base_layers().size();
    freeze(model_, {.name = "", .cut = b.mode == "full" ? 0 : b.mode == "fine-tune" ? cut_for_top_fraction(model_, 0.3) : layers}, fit_.bn);
    const int64_t h = model_.spec.height, w = model_.spec.width;
    for (int64_t i = 0; i < 2 * b.batch; ++i) pictures_.push_back(formula_picture(h, w, concat(i)));
  }

  Model& model() { return model_; }
  const FitOptions& fit() const { return fit_; }
  const std::shared_ptr<Memory>& memory() const { return memory_; }
  ImageSource source(const AugmentOptions& augment) {
    const bool changes = !(augment == AugmentOptions{});
    return shown_source(model_, augment, [this, augment, changes](int64_t i) {
      const int64_t h = model_.spec.height, w = model_.spec.width;
      return Shown{{pictures_[size_t(i)].data(), h, w, 3, {}}, changes ? draw_augmentation(augment, 0, 0, i, h, w) : AugmentImage{}};
    });
  }
  StepInput batch(int64_t step) const {
    StepInput in{.images = {}, .labels = {}, .epoch = uint32_t(step)};
    for (int64_t i = 0; i < fit_.batch; ++i) in.images.push_back(step % 2 * fit_.batch + i), in.labels.push_back(int32_t(i % 2));
    return in;
  }

  // What the base does in a pass over `n` images: forward, and backward through what is trained.
  std::vector<meta::Cost> costs(int64_t n, bool training) {
    const std::shared_ptr<Memory> meta = open_device({DeviceKind::meta});
    meta::MetaExec exec;
    Tape tape;
    Context c{meta->backend(), exec, meta, tape};
    FrozenWeights no_values;
    Scope scope(c, model_.params, {.record = training, .batch_statistics = training && fit_.bn == BnMode::train, .frozen = &no_values});
    const Tensor y = model_.body(scope, c.tensor(model_.input(n), fit_.compute));
    if (tape.wants_grad(y)) {
      const Tensor seed = c.like(y);
      tape.backward(c, y, seed);
    }
    return exec.costs;
  }
  int64_t macs(bool training) {  // of one image
    int64_t sum = 0;
    for (const meta::Cost& cost : costs(1, training)) sum += cost.macs;
    return sum;
  }
  std::map<Profile::Key, LayerTime> layer_costs(int64_t n, bool training) {
    std::map<Profile::Key, LayerTime> layers;
    for (const meta::Cost& cost : costs(n, training)) {
      LayerTime& layer = layers[{cost.layer, cost.op}];
      layer.bytes += cost.bytes, layer.flops += 2 * cost.macs;
    }
    return layers;
  }

  ImageSource training_source() { return source(fit_.bn == BnMode::train ? AugmentOptions{} : augment_preset("light")); }
  std::unique_ptr<Stepper> stepper(Workers& workers) {
    return std::make_unique<Stepper>(model_, workers,
                                     StepperOptions{.runner = runner_options(model_, fit_), .rule = {}, .class_weights = {1, 1}});
  }

 private:
  static ModelSpec spec(const BenchCase& b) {
    const NetInfo& net = find_net(b.net);
    return {.net = b.net, .height = net.input_size, .width = net.input_size, .head = {}, .classes = {"a", "b"}};
  }

  FitOptions fit_;
  std::shared_ptr<Memory> memory_;
  Model model_;
  std::vector<std::vector<uint8_t>> pictures_;
};

// Two steps to warm up, of which the first is told; then as keras_bench.py times its steps.
template <class Step>
BenchResult time_steps(const BenchCase& b, int64_t macs, Step&& step) {
  BenchResult r;
  std::vector<double> times;
  const double start = now();
  step(0);
  r.first_step_s = now() - start;
  step(1);
  const double began = now(), cpu = cpu_seconds();
  for (int64_t i = 2; times.size() < 3 || (now() - began < b.seconds && times.size() < 15); ++i) {
    const double t = now();
    step(i);
    times.push_back(now() - t);
  }
  const double spent = cpu_seconds() - cpu;
  r.cpu_per_wall = spent / (now() - began);
  r.images_per_cpu_s = double(b.batch) * double(times.size()) / spent;
  std::sort(times.begin(), times.end());
  const size_t n = times.size();
  r.images_per_s_best = double(b.batch) / times[0];
  r.images_per_s_median = double(b.batch) / ((times[(n - 1) / 2] + times[n / 2]) / 2);
  r.gflops = 2e-9 * double(macs) * r.images_per_s_median;
  return r;
}

}  // namespace

BenchResult run_bench(const BenchCase& b) {
  Subject subject(b);
  Workers workers(subject.memory()->shared_backend(), b.threads);
  if (b.mode == "infer") {
    BaseRunner runner(subject.model(), workers, {.shard = 1, .group = 1, .compute = subject.fit().compute});
    Predictor predictor(subject.model(), runner, workers);
    const ImageSource source = subject.source({});
    return time_steps(b, subject.macs(false), [&](int64_t i) { predictor.logits(subject.batch(i).images, source); });
  }
  const ImageSource source = subject.training_source();
  const std::unique_ptr<Stepper> stepper = subject.stepper(workers);
  const size_t ahead = stepper->runner().options().batch_statistics ? 1 : 2;  // as in Fit
  int64_t prepared = 0;
  return time_steps(b, subject.macs(true), [&](int64_t) {
    while (stepper->prepared() < ahead) stepper->prepare(subject.batch(prepared++), source);
    stepper->step(1e-3);
  });
}

std::vector<LayerTime> time_layers(const BenchCase& what) {
  BenchCase b = what;
  if (b.mode == "infer") b.batch = 1;
  Subject subject(b);
  Workers workers(subject.memory()->shared_backend(), 1);
  Profile profile;
  const auto watch = [&](Profile* p) { workers.run(1, [p](int64_t, Worker& worker) { worker.exec->profile = p; }); };
  std::map<Profile::Key, double> least;
  const auto pass = [&](int passes, auto&& work) {
    work();  // packs weights and makes primitives
    watch(&profile);
    for (int i = 0; i < passes; ++i) {
      profile.seconds.clear();
      work();
      for (const auto& [key, seconds] : profile.seconds) {
        const auto [it, fresh] = least.try_emplace(key, seconds);
        if (!fresh) it->second = std::min(it->second, seconds);
      }
    }
    watch(nullptr);
  };
  if (b.mode == "infer") {
    BaseRunner runner(subject.model(), workers, {.shard = 1, .group = 1, .compute = subject.fit().compute});
    const Boundary border = runner.make_border(1);
    const ImageSource source = subject.source({});
    const int64_t image = 0;
    pass(11, [&] { workers.run(1, [&](int64_t, Worker& worker) { runner.frozen(worker, {&image, 1}, source, border, 0); }); });
  } else {
    const std::unique_ptr<Stepper> stepper = subject.stepper(workers);
    const ImageSource source = subject.training_source();
    pass(3, [&] {
      stepper->prepare(subject.batch(0), source);
      stepper->step(1e-3);
    });
  }
  std::map<Profile::Key, LayerTime> costs = subject.layer_costs(b.batch, b.mode != "infer");
  std::vector<LayerTime> layers;
  for (const auto& [key, seconds] : least) {
    LayerTime row = costs[key];
    row.layer = key.layer.empty() ? "(input)" : key.layer, row.op = key.op, row.seconds = seconds;
    layers.push_back(row);
  }
  std::sort(layers.begin(), layers.end(), [](const LayerTime& x, const LayerTime& y) { return x.seconds > y.seconds; });
  return layers;
}

}  // namespace ptrain::cli
