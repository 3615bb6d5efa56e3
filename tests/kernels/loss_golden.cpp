// Cross entropy with class weights, the L2 term and dropout against Keras.
#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<double> flat(const nlohmann::json& array) {
  std::vector<double> v;
  for (const nlohmann::json& n : array.flatten()) v.push_back(n);
  return v;
}

}  // namespace

TEST_CASE("cross entropy equals Keras' with and without class weights") {
  NEEDS_GOLDENS("semantics/losses.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "semantics" / "losses.json");
  const std::map<std::string, std::vector<double>> weights{
      {"none", {1, 1}}, {"class_weight", {1.9448, 0.6730}}, {"zero_first_class", {0, 1}}};
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32) return;
    int cases = 0;
    for (const nlohmann::json& c : golden["reductions"]) {
      if (c["reduction"] != "sum_over_batch_size") continue;
      const auto name = c["weights"].get<std::string>();
      CAPTURE(name);
      ++cases;
      Trial t(target);
      const nlohmann::json& in = golden["inputs"];
      const Guarded &z = t.input(flat(in["logits"])), &labels = t.input(flat(in["labels"]), DType::int32),
                    &w = t.input(weights.at(name), t.wide());
      const Guarded &p = t.output(8, t.wide()), &losses = t.output(4, t.wide()), &loss = t.output(1, t.wide());
      t.backend().softmax_cross_entropy_forward(t.exec(), {4, 2}, z, labels, w, p, losses, {loss});
      std::vector<double> each = flat(in["per_sample"]);
      for (size_t i = 0; i < each.size(); ++i) each[i] *= w.values[size_t(labels.values[i])];
      t.check("p", p, flat(in["probabilities"]), Tolerance{0, 2e-6});
      t.check("losses", losses, each, Tolerance{2e-7, 2e-6});  // the smallest is log(1 + e⁻⁴), a difference of numbers near 2
      t.check("loss", loss, {c["loss"]}, Tolerance{0, 1e-6});
    }
    CHECK(cases == 3);
  });
}

TEST_CASE("sum_squares equals Keras' L2") {
  NEEDS_GOLDENS("semantics/l2.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "semantics" / "l2.json");
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32) return;
    int cases = 0;
    for (const nlohmann::json& c : golden["cases"]) {
      double factor = 0;
      if (std::sscanf(c["regularizer"].get<std::string>().c_str(), "L2(%lf)", &factor) != 1) continue;
      ++cases;
      Trial t(target);
      const Guarded& sum = t.output(1);
      t.backend().sum_squares(t.exec(), factor, t.input(flat(golden["w"])), {sum});
      t.check("L2", sum, {c["loss"]}, Tolerance{0, 1e-6});
    }
    CHECK(cases == 3);
  });
}

TEST_CASE("dropout multiplies survivors as Keras does and keeps as many") {
  NEEDS_GOLDENS("semantics/dropout.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "semantics" / "dropout.json");
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32) return;
    for (const nlohmann::json& c : golden["cases"]) {
      const float rate = c["rate"];
      CAPTURE(rate);
      Trial t(target);
      const int64_t n = 20000;
      const Guarded &x = t.input(std::vector<double>(size_t(n), 1)), &samples = t.input({3}, DType::int32), &y = t.output(n);
      t.backend().dropout(t.exec(), {.rows = 1, .c = n, .rate = rate, .seed = 1, .layer = 1}, x, samples, samples, {y});
      std::vector<double> distinct = t.read(y);
      const auto kept = double(n - std::count(distinct.begin(), distinct.end(), 0.));
      std::sort(distinct.begin(), distinct.end());
      distinct.erase(std::unique(distinct.begin(), distinct.end()), distinct.end());
      CHECK(difference(distinct, c["distinct_outputs_for_ones"].get<std::vector<double>>(), 0, 1e-8) ==
            "");  // nine digits: the same float32
      CHECK(close(kept / double(n), 1 - double(rate), 5 * std::sqrt(0.25 / double(n)), 0));
    }
  });
}
