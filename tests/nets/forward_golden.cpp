// The five nets, layer by layer, against Keras (group A of the golden files).
#include "tests/nets/net_under_test.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr DeviceUnderTest kReference{DeviceKind::reference, 1}, kCpu{DeviceKind::cpu, 10};

// Compares every layer with its row as soon as it is there.
class Judge : public LayerObserver {
 public:
  Judge(const std::filesystem::path& table, double slack) : slack_(slack) {
    for (Row& row : read_tsv(table)) rows_[row["name"]] = row;
  }

  void layer(const LayerSpec& spec, const std::vector<Tensor>&, const Tensor& y) override {
    ++seen;
    const auto it = rows_.find(spec.name);
    if (it == rows_.end()) return complain(spec.name, "is not in the golden table");
    Row& row = it->second;
    const std::vector<double> v = y.to_doubles();
    double sum = 0, squares = 0, low = INFINITY, high = -INFINITY;
    for (double a : v) sum += a, squares += a * a, low = std::min(low, a), high = std::max(high, a);
    const double n = double(v.size()), rms = std::stod(row["rms"]), tolerance = slack_ * (4 * std::stod(row["noise"]) + 1e-6 * rms);
    check(spec.name, "mean", sum / n, std::stod(row["mean"]), std::max(slack_ * 1e-5 * rms, tolerance));
    check(spec.name, "rms", std::sqrt(squares / n), rms, std::max(slack_ * 1e-5 * rms, tolerance));
    check(spec.name, "min", low, std::stod(row["min"]), tolerance);
    check(spec.name, "max", high, std::stod(row["max"]), tolerance);
    for (const auto& [i, want] : parse_samples(row["samples"])) check(spec.name, concat("[", i, "]"), v.at(i), want, tolerance);
  }

  size_t rows() const { return rows_.size(); }
  size_t seen = 0;
  std::string first_fault;

 private:
  void check(const std::string& layer, const std::string& what, double got, double want, double tolerance) {
    if (!close(got, want, tolerance, 0)) complain(layer, concat(what, " is ", got, ", want ", want, " ± ", tolerance));
  }
  void complain(const std::string& layer, const std::string& what) {
    if (first_fault.empty()) first_fault = layer + ": " + what;
  }

  std::map<std::string, Row> rows_;
  double slack_;
};

void layers_equal_keras(const std::string& name, DeviceUnderTest device, bool training = false) {
  const NetInfo& net = find_net(name);
  const auto folder = shared() / "keras" / "forward";
  NetUnderTest t(net, features_of(net), net.input_size, net.input_size, device.kind);
  Judge judge(folder / concat(training ? "forward_train_" : "forward_", net.keras_name, ".tsv"), device.slack);
  Context c = t.context();
  Scope scope(c, t.params, {.batch_statistics = training, .observer = &judge});
  t.function(scope, t.formula_images(2));
  CHECK(judge.seen == judge.rows());
  CHECK(judge.first_fault == "");
  if (!training) return;
  for (Row& row : read_tsv(folder / concat("bn_update_", net.keras_name, ".tsv"))) {
    const std::vector<double> v = t.params.at(row["layer"] + "/" + row["variable"]).value.to_doubles();
    for (const auto& [i, want] : parse_samples(row["samples"])) {
      INFO(row["layer"], "/", row["variable"], "[", i, "] is ", v.at(i), ", want ", want);
      CHECK(close(v.at(i), want, device.slack * (4 * std::stod(row["noise"]) + 1e-6), 0));
    }
  }
}

// The noise of the last layer and its rms decide how exact the saved arrays are.
double last_layer_tolerance(const NetInfo& net) {
  Row row = read_tsv(shared() / "keras" / "forward" / concat("forward_", net.keras_name, ".tsv")).back();
  return 4 * std::stod(row["noise"]) + 1e-6 * std::stod(row["rms"]);
}

// Without an observer: what `features` and the frozen part of training compute, fused.
void pooled_features_equal_keras(const std::string& name, DeviceUnderTest device) {
  const NetInfo& net = find_net(name);
  for (const auto& file : std::filesystem::directory_iterator(shared() / "keras" / "forward")) {
    const std::string stem = file.path().stem().string(), prefix = concat("gap_", net.keras_name, "_");
    if (!stem.starts_with(prefix)) continue;
    const size_t x = stem.find('x', prefix.size());
    const int64_t h = std::stoll(stem.substr(prefix.size())), w = std::stoll(stem.substr(x + 1));
    CAPTURE(stem);
    NetUnderTest t(
        net, [&](Scope& s, Tensor in) { return s.global_avg_pool(net.features(s, in), "gap"); }, h, w, device.kind);
    FrozenWeights packed;
    Context c = t.context();
    Scope scope(c, t.params, {.frozen = &packed});
    const Array want = read_npy(file.path());
    CHECK(difference(t.function(scope, t.formula_images(2)).to_doubles(), want.values, device.slack * last_layer_tolerance(net), 0) == "");
  }
}

void top_equals_keras(const std::string& name, DeviceUnderTest device) {
  const NetInfo& net = find_net(name);
  NetUnderTest t(net, with_top(net), net.input_size, net.input_size, device.kind);
  Context c = t.context();
  Scope scope(c, t.params);
  const Tensor logits = t.function(scope, t.formula_images(1));
  const auto folder = shared() / "keras" / "forward";
  const Array want = read_npy(folder / concat("top_", net.keras_name, "_logits.npy")),
              p = read_npy(folder / concat("top_", net.keras_name, "_softmax.npy"));
  double rms = 0;
  for (double v : want.values) rms += v * v / double(want.values.size());
  CHECK(difference(logits.to_doubles(), want.values, device.slack * 1e-5 * std::sqrt(rms), 0) == "");
  CHECK(difference(softmax(c, logits).to_doubles(), p.values, 1e-7, device.slack * 1e-4) == "");
}

}  // namespace

#define EACH_NET(title, call)        \
  TEST_CASE("vgg16 " title) {        \
    NEEDS_GOLDENS("forward");        \
    call("vgg16");                   \
  }                                  \
  TEST_CASE("mobilenet_v2 " title) { \
    NEEDS_GOLDENS("forward");        \
    call("mobilenet_v2");            \
  }                                  \
  TEST_CASE("densenet121 " title) {  \
    NEEDS_GOLDENS("forward");        \
    call("densenet121");             \
  }                                  \
  TEST_CASE("inception_v3 " title) { \
    NEEDS_GOLDENS("forward");        \
    call("inception_v3");            \
  }                                  \
  TEST_CASE("resnet50 " title) {     \
    NEEDS_GOLDENS("forward");        \
    call("resnet50");                \
  }

#define ON_REFERENCE(f) [](const char* net) { f(net, kReference); }
#define ON_CPU(f) [](const char* net) { f(net, kCpu); }
EACH_NET("layer by layer on reference", (ON_REFERENCE(layers_equal_keras)))
EACH_NET("layer by layer on cpu", (ON_CPU(layers_equal_keras)))
EACH_NET("pooled features at three sizes on reference", (ON_REFERENCE(pooled_features_equal_keras)))
EACH_NET("pooled features at three sizes on cpu", (ON_CPU(pooled_features_equal_keras)))
EACH_NET("ImageNet top on reference", (ON_REFERENCE(top_equals_keras)))
EACH_NET("ImageNet top on cpu", (ON_CPU(top_equals_keras)))

TEST_CASE("mobilenet_v2 in training mode on reference") {
  NEEDS_GOLDENS("forward");
  layers_equal_keras("mobilenet_v2", kReference, true);
}
TEST_CASE("mobilenet_v2 in training mode on cpu") {
  NEEDS_GOLDENS("forward");
  layers_equal_keras("mobilenet_v2", kCpu, true);
}
TEST_CASE("resnet50 in training mode on reference") {
  NEEDS_GOLDENS("forward");
  layers_equal_keras("resnet50", kReference, true);
}
TEST_CASE("resnet50 in training mode on cpu") {
  NEEDS_GOLDENS("forward");
  layers_equal_keras("resnet50", kCpu, true);
}
