// Losses, gradients and weights of training steps against Keras (group B of the golden files), on one tape over the whole batch.
#include <cstring>

#include "nets/head.hpp"
#include "tests/nets/net_under_test.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Tolerance {
  double first_loss, later_loss, values, norms;
};
// The table of the golden README.
const std::map<std::string, Tolerance> kTolerance = {{"frozen", {2e-6, 2e-5, 1e-6, 1e-5}},
                                                     {"fine", {2e-6, 1e-3, 1e-6, 3e-4}},
                                                     {"fine_fit", {4e-6, 1e-3, 1e-6, 2e-2}},
                                                     {"full", {5e-5, 2e-2, 1e-5, 4e-2}}};

struct Gradient {
  std::vector<double> values;
  double noise = 0;
};

// Trains as the golden script does: one batch, class weights, L2 1e-3 on the dense kernels, no dropout.
class Run {
 public:
  Run(const NetInfo& net, const nlohmann::json& facts, const std::string& mode, DeviceKind device, DType type)
      : mode_(mode),
        head_{.dropout = {0, 0}, .l2 = double(1e-3f)},  // Keras' float64 run takes the float32 factor too
        t_(
            net, [this, &net](Scope& s, Tensor x) { return head(s, s.global_avg_pool(net.features(s, x), "gap"), head_); },
            facts["input"][1], facts["input"][2], device, type) {
    const std::vector<Layer> layers = list_layers(features_of(net), {1, t_.height, t_.width, 3});
    const size_t cut = mode == "frozen" ? layers.size() : mode == "full" ? 0 : size_t(0.7 * double(layers.size()));
    std::set<std::string> frozen;
    for (size_t i = 0; i < cut; ++i) frozen.insert(layers[i].spec.name);
    t_.params.freeze([&](const std::string& layer) { return frozen.contains(layer); });

    const std::vector<float> labels = facts["labels"];
    images_ = t_.formula_images(int64_t(labels.size()));
    labels_ = Tensor::from(labels, {int64_t(labels.size())}, DType::int32, t_.memory);
    const std::vector<double> weights{facts["class_weight"]["0"], facts["class_weight"]["1"]};
    class_weights_ = Tensor::from(weights, {2}, type, t_.memory);
    iterations_ = Tensor::from(std::vector<float>{0}, {1}, DType::int32, t_.memory);
    if (mode == "frozen") rule_ = {.kind = OptimizerKind::adam, .learning_rate = 1e-3};
    else if (mode == "full") rule_ = {.kind = OptimizerKind::sgd, .learning_rate = 1e-5, .momentum = 0.9};
    else rule_ = {.kind = OptimizerKind::adam, .learning_rate = 1e-5};
  }

  // The loss before the update.
  double step() {
    Context c = t_.context();
    TapeGuard guard(t_.tape);
    Scope scope(c, t_.params, {.record = true, .batch_statistics = mode_ == "full" || mode_ == "fine_fit"});
    const CrossEntropy out = softmax_cross_entropy(c, t_.function(scope, images_), labels_, class_weights_);
    const Tensor one = Tensor::from(std::vector<float>{1}, {1}, t_.type, t_.memory);
    t_.tape.backward(c, out.loss, one);
    for (const std::string& key : l2_kernels(head_)) {
      const Tensor& w = t_.params.at(key).value;
      c.backend.sum_squares(c.exec, head_.l2, w.buffer(), {out.loss.buffer(), Accumulate::yes});
      c.backend.add_scaled(c.exec, 2 * head_.l2, w.buffer(), t_.tape.grad(w).buffer());
    }
    std::vector<OptimizerSlot> slots;
    for (Param& p : t_.params.list()) {
      if (!p.trainable()) continue;
      if (gradients.size() < size_t(trainable())) gradients[p.key()] = {t_.tape.grad(p.value).to_doubles()};
      OptimizerSlot slot{.w = p.value.buffer(), .dw = t_.tape.grad(p.value).buffer(), .state = {}, .copy = {}};
      auto& state = states_[p.key()];
      for (int i = 0; i < rule_.states(); ++i) {
        if (int(state.size()) == i) {
          state.emplace_back(p.shape, t_.type, t_.memory);
          c.backend.fill(c.exec, 0, state.back().buffer());
        }
        slot.state[i] = state[size_t(i)].buffer();
      }
      slots.push_back(slot);
    }
    c.backend.optimizer_step(c.exec, rule_, slots, {.iterations = iterations_.buffer(), .finite = {}});
    probabilities = out.probabilities.to_doubles();
    return out.loss.to_doubles()[0];
  }

  int64_t trainable() const {
    return std::count_if(t_.params.list().begin(), t_.params.list().end(), [](const Param& p) { return p.trainable(); });
  }
  std::vector<double> value(const std::string& key) { return t_.params.at(key).value.to_doubles(); }
  double learning_rate() const { return rule_.learning_rate; }

  // A forward pass of the first step that shows every layer.
  void watch(LayerObserver& observer) {
    Context c = t_.context();
    Scope scope(c, t_.params, {.batch_statistics = mode_ == "full" || mode_ == "fine_fit", .observer = &observer});
    t_.function(scope, images_);
  }

  std::map<std::string, Gradient> gradients;  // of the first step
  std::vector<double> probabilities;

 private:
  std::string mode_;
  HeadOptions head_;
  NetUnderTest t_;
  Tensor images_, labels_, class_weights_, iterations_;
  OptimizerRule rule_;
  std::map<std::string, std::vector<Tensor>> states_;
};

// The values that go into activations, layer by layer.
class Kinks : public LayerObserver {
 public:
  void layer(const LayerSpec& spec, const std::vector<Tensor>& inputs, const Tensor&) override {
    if (spec.type == "Activation" || spec.type == "ReLU") before.emplace_back(spec.name, inputs.at(0).to_doubles());
  }
  std::vector<std::pair<std::string, std::vector<double>>> before;
};

Kinks kinks_of(const NetInfo& net, const nlohmann::json& facts, const std::string& mode, DeviceKind device, DType type) {
  Run run(net, facts, mode, device, type);
  Kinks kinks;
  run.watch(kinks);
  return kinks;
}

// Where rounding decided on which side of its kink an activation is: the slope of that element is 0 in one program and 1 in the other, and
// the gradients of everything below move. Such elements must be there, and each must lie within rounding of zero.
bool rounding_moved_a_kink(const NetInfo& net, const nlohmann::json& facts, const std::string& mode, DeviceKind device) {
  const Kinks got = kinks_of(net, facts, mode, device, DType::float32),
              exact = kinks_of(net, facts, mode, DeviceKind::reference, DType::float64);
  int64_t moved = 0;
  for (size_t k = 0; k < exact.before.size(); ++k) {
    const auto& [name, values] = exact.before[k];
    double squares = 0;
    for (const double v : values) squares += v * v;
    const double rms = std::sqrt(squares / double(values.size()));
    for (size_t i = 0; i < values.size(); ++i) {
      if ((values[i] > 0) == (got.before.at(k).second.at(i) > 0)) continue;
      ++moved;
      MESSAGE(name, "[", i, "] before its activation: ", values[i], " exactly, ", got.before[k].second[i], " here, rms ", rms);
      if (!(std::fabs(values[i]) < 1e-5 * rms)) return false;
    }
  }
  return moved > 0;
}

double norm(const std::vector<double>& v) {
  double s = 0;
  for (double a : v) s += a * a;
  return std::sqrt(s);
}

// Complains once per kind of fault, with the first tensor at fault.
void training_equals_keras(const std::string& name, DeviceKind device, DType type, double slack) {
  const NetInfo& net = find_net(name);
  const auto folder = shared() / "keras" / "train";
  const nlohmann::json facts = read_json(folder / concat("train_", net.keras_name, ".json"));
  std::vector<Row> rows = read_tsv(folder / concat("train_", net.keras_name, ".tsv"));
  const bool wide = type == DType::float64;
  for (const auto& [mode, tolerance] : kTolerance) {
    CAPTURE(mode);
    Run run(net, facts, mode, device, type);
    CHECK(run.trainable() == int64_t(facts[mode]["trainable_tensors"]));
    const std::vector<double> losses = facts[mode][wide ? "losses_f64" : "losses_f32"];
    for (size_t i = 0; i < losses.size(); ++i) {
      const double loss = run.step(), allowed = wide ? 1e-11 : slack * (i == 0 ? tolerance.first_loss : tolerance.later_loss);
      INFO("step ", i + 1, ": loss ", loss, ", want ", losses[i], ", relative error ", loss / losses[i] - 1);
      CHECK(close(loss, losses[i], 0, allowed));
    }
    std::string fault, gradient_fault;
    size_t compared = 0;
    const auto check = [&](bool good, const auto&... what) {
      ++compared;
      if (!good && fault.empty()) fault = concat(what...);
    };
    for (Row& row : rows) {
      if (row["mode"] != mode) continue;
      const std::string key = row["tensor"], kind = row["kind"];
      const double noise = std::stod(row["noise"]), want_norm = std::stod(row[wide ? "norm_f64" : "norm_f32"]);
      const bool gradient = kind == "gradient_step1";
      if (gradient) run.gradients.at(key).noise = noise;
      const std::vector<double> got = gradient ? run.gradients.at(key).values : run.value(key);
      const double got_norm = norm(got), values = slack * (4 * noise + tolerance.values);
      if (std::stod(row["norm_f64"]) < 1e-6 && gradient)
        check(got_norm < 1e-2, kind, " ", key, ": norm ", got_norm, " should be near zero");
      else if (wide) check(close(got_norm, want_norm, 1e-9, 1e-6), kind, " ", key, ": norm ", got_norm, ", want ", want_norm);
      else if (gradient)
        check(close(got_norm, want_norm, 0, slack * tolerance.norms), kind, " ", key, ": norm ", got_norm, ", want ", want_norm);
      for (const auto& [i, want] : parse_samples(row["samples"])) {
        double allowed = values;
        if (kind == "weight_after" && mode != "full") {  // Adam's first steps are signs: free where the gradient is noise
          const Gradient& g = run.gradients.at(key);
          if (std::fabs(g.values.at(i)) < 10 * slack * g.noise) allowed += 2 * run.learning_rate() * double(losses.size());
        }
        const bool good = close(got.at(i), want, allowed, 0);
        // Still a gradient when an activation fell on the other side of its kink: off by less than a tenth of the tensor's rms.
        const double rms = want_norm / std::sqrt(double(got.size()));
        if (!good && gradient && device != DeviceKind::reference && close(got.at(i), want, allowed + 0.1 * rms, 0))
          gradient_fault = concat(kind, " ", key, "[", i, "] is ", got.at(i), ", want ", want, " ± ", allowed);
        else check(good, kind, " ", key, "[", i, "] is ", got.at(i), ", want ", want, " ± ", allowed);
      }
    }
    if (!gradient_fault.empty() && !rounding_moved_a_kink(net, facts, mode, device)) check(false, gradient_fault);
    CHECK(compared > 10);
    CHECK(fault == "");
  }
}

}  // namespace

#define TRAINING_OF(net)                                                  \
  TEST_CASE(net " trains as Keras on reference in float32") {             \
    NEEDS_GOLDENS("train");                                               \
    training_equals_keras(net, DeviceKind::reference, DType::float32, 1); \
  }                                                                       \
  TEST_CASE(net " trains as Keras on reference in float64") {             \
    NEEDS_GOLDENS("train");                                               \
    training_equals_keras(net, DeviceKind::reference, DType::float64, 1); \
  }                                                                       \
  TEST_CASE(net " trains as Keras on cpu") {                              \
    NEEDS_GOLDENS("train");                                               \
    training_equals_keras(net, DeviceKind::cpu, DType::float32, 10);      \
  }
TRAINING_OF("vgg16")
TRAINING_OF("mobilenet_v2")
TRAINING_OF("densenet121")
TRAINING_OF("inception_v3")
TRAINING_OF("resnet50")
