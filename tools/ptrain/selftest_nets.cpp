// The five nets against Keras' features, ten training steps against the CPU, and the loss scale when gradients overflow.
#include <cmath>
#include <cstdlib>
#include <limits>

#include "data/npy.hpp"
#include "layers/formula.hpp"
#include "tools/ptrain/selftest.hpp"

namespace ptrain::cli {
namespace {

// The golden files beside the checkout, or where PTRAIN_SHARED says.
std::filesystem::path goldens() {
  const char* named = std::getenv("PTRAIN_SHARED");
  for (const std::filesystem::path& folder : {std::filesystem::path(named ? named : ""), std::filesystem::path("../shared")})
    if (!folder.empty() && std::filesystem::exists(folder / "keras" / "forward")) return folder / "keras" / "forward";
  return {};
}

// Height and width of "gap_VGG16_224x224.npy", when it is one of this net.
bool parse_size(const std::string& file, const std::string& net, int64_t& h, int64_t& w) {
  const std::string prefix = "gap_" + net + "_";
  return file.starts_with(prefix) && std::sscanf(file.c_str() + prefix.size(), "%ldx%ld.npy", &h, &w) == 2;
}

// Largest difference, as a fraction of the largest wanted value.
double relative_error(std::span<const double> got, std::span<const float> want) {
  double worst = 0, largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    const double error = std::fabs(got[i] - double(want[i]));
    worst = std::isnan(error) ? INFINITY : std::max(worst, error);
    largest = std::max(largest, std::fabs(double(want[i])));
  }
  return worst / largest;
}

std::vector<double> pooled_features(const NetInfo& net, const Selftest& test, DType type, int64_t n, int64_t h, int64_t w) {
  const std::shared_ptr<Memory>& memory = test.memory;
  const auto exec = memory->backend().make_exec(choose_threads(0));
  Params params = build(features_of(net), {1, h, w, 3});
  params.allocate(memory, DType::float32);
  formula_weights(params, net.keras_name);
  params.set_compute_type(type, [](const std::string&) { return true; });
  Tape tape;
  Context c{memory->backend(), *exec, memory, tape};
  FrozenWeights packed;
  Scope scope(c, params, {.frozen = &packed});
  const Tensor y = global_avg_pool(c, net.features(scope, Tensor::from(formula_input(n, h, w), {n, h, w, 3}, type, memory)));
  exec->synchronize();
  return y.to_doubles();
}

constexpr int64_t kSide = 64, kImages = 4;
const std::vector<int64_t> kAll{0, 1, 2, 3};
const std::vector<int32_t> kLabels{0, 1, 1, 0};

ImageSource formula_source(const std::shared_ptr<Memory>& memory) {
  const auto images =
      std::make_shared<Tensor>(Tensor::from(formula_input(kImages, kSide, kSide), {kImages, kSide, kSide, 3}, DType::float32, memory));
  return [images](std::span<const int64_t> which, Context& c, Buffer x) {
    const int64_t size = kSide * kSide * 3;
    for (size_t i = 0; i < which.size(); ++i) c.copy_as(images->buffer().slice(which[i] * size, size), x.slice(int64_t(i) * size, size));
  };
}

Model small_model(const std::shared_ptr<Memory>& memory, DType type) {
  Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .head = {.dropout = {0, 0}}, .classes = {"a", "b"}}, memory);
  formula_weights(model.params, "MobileNetV2");
  set_precision(model, type);
  freeze_below(model, cut_for_top_fraction(model, 0.3));
  return model;
}

StepperOptions small_steps(DType type) {
  StepperOptions o{.runner = {.shard = 4, .group = 4, .compute = type}, .rule = {}, .class_weights = {1, 1}};
  if (type == DType::float16) o.scaling = LossScaling{};
  return o;
}

std::vector<double> ten_losses(const std::shared_ptr<Memory>& memory, DType type) {
  Model model = small_model(memory, type);
  Workers workers(memory->shared_backend(), 1);
  Stepper stepper(model, workers, small_steps(type));
  const ImageSource source = formula_source(memory);
  std::vector<double> losses;
  for (int i = 0; i < 10; ++i) {
    stepper.prepare({.images = kAll, .labels = kLabels}, source);
    losses.push_back(stepper.step(1e-4).loss);
  }
  return losses;
}

// The head's last bias is infinite in the third and fourth step: these must change nothing but the scale.
std::string overflow(const std::shared_ptr<Memory>& memory, DType type) {
  Model model = small_model(memory, type);
  StepperOptions options = small_steps(type);
  options.scaling = LossScaling{.initial = 32768, .growth_steps = 2};
  Workers workers(memory->shared_backend(), 1);
  Stepper stepper(model, workers, options);
  const ImageSource source = formula_source(memory);
  const double scales[] = {32768, 65536, 32768, 16384, 16384, 32768};
  for (int i = 0; i < 6; ++i) {
    const bool injected = i == 2 || i == 3;
    Tensor bias = model.params.at("head_out/bias").value;
    const std::vector<float> good = bias.to_floats();
    if (injected) bias.upload(std::vector<float>{good[0], std::numeric_limits<float>::infinity()});
    const std::vector<double> before = model.params.at("head_1/kernel").value.to_doubles();
    stepper.prepare({.images = kAll, .labels = kLabels}, source);
    const StepResult result = stepper.step(1e-4);
    const bool same = model.params.at("head_1/kernel").value.to_doubles() == before;
    if (injected) bias.upload(good);
    if (result.skipped != injected || same != injected) return concat("step ", i + 1, injected ? " was not skipped" : " was skipped");
    if (result.loss_scale != scales[i]) return concat("the scale after step ", i + 1, " is ", result.loss_scale, " instead of ", scales[i]);
  }
  return stepper.iterations() == 4 ? "" : concat("the optimizer has counted ", stepper.iterations(), " steps instead of 4");
}

}  // namespace

void selftest_nets(const Selftest& test, DType type, bool all) {
  const std::filesystem::path folder = goldens();
  for (const NetInfo& net : net_table()) {
    SelftestCheck check{.group = "net",
                        .name = net.name,
                        .type = str(type),
                        .passed = true,
                        .tolerance = type == DType::float32   ? 1e-3
                                     : type == DType::float16 ? 3e-2
                                                              : 1e-1,
                        .note = ""};
    if (folder.empty()) {
      check.note = "SKIPPED: no golden files in ../shared/keras; PTRAIN_SHARED names the folder that holds them";
    } else if (test.slow && !all && net.name != "mobilenet_v2") {
      check.note = "SKIPPED: takes minutes on " + str(test.memory->device()) + "; --all runs it";
    } else {
      // The native size; on slow devices a smaller one.
      int64_t h = 0, w = 0;
      std::filesystem::path file;
      for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        int64_t eh = 0, ew = 0;
        if (!parse_size(entry.path().filename().string(), net.keras_name, eh, ew)) continue;
        const bool better = file.empty() || (test.slow ? eh * ew < h * w : eh == net.input_size && ew == net.input_size);
        if (better) h = eh, w = ew, file = entry.path();
      }
      try {
        if (file.empty()) fail(ErrorKind::data, "no golden features of ", net.keras_name, " in ", folder.string());
        const NpyArray want = read_npy(file);
        check.error = relative_error(pooled_features(net, test, type, want.shape.at(0), h, w), want.values);
        check.passed = check.error <= check.tolerance;
        check.note = concat("pooled features of ", want.shape[0], " images of ", h, "x", w, " against Keras");
      } catch (const Error& e) {
        check.passed = false, check.note = e.what();
      }
    }
    test.report(check);
  }
}

void selftest_training(const Selftest& test, DType type) {
  SelftestCheck losses{.group = "training",
                       .name = "ten losses",
                       .type = str(type),
                       .passed = true,
                       .tolerance = type == DType::float32 ? 1e-4 : 2e-2,
                       .note = "MobileNetV2, top 30 %, 64x64, batch 4, against float32 on the CPU"};
  try {
    const std::vector<double> got = ten_losses(test.memory, type), want = ten_losses(open_device({DeviceKind::cpu}), DType::float32);
    for (size_t i = 0; i < want.size(); ++i) {
      const double error = std::fabs(got[i] - want[i]);
      losses.error = std::isnan(error) ? INFINITY : std::max(losses.error, error);
    }
    losses.passed = losses.error <= losses.tolerance;
  } catch (const Error& e) {
    losses.passed = false, losses.note = e.what();
  }
  test.report(losses);
  SelftestCheck scale{.group = "training",
                      .name = "loss scale",
                      .type = str(type),
                      .passed = true,
                      .note = "two of six steps overflow: skipped, weights and step count unchanged"};
  try {
    const std::string fault = overflow(test.memory, type);
    if (!fault.empty()) scale.passed = false, scale.note = fault;
  } catch (const Error& e) {
    scale.passed = false, scale.note = e.what();
  }
  test.report(scale);
}

}  // namespace ptrain::cli
