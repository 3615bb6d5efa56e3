// Batch normalisation against Keras' layer in training, three steps of each case.
#include "layers/formula.hpp"
#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<double> values(const std::string& key, int64_t n, double center, float half) {
  std::vector<float> v(static_cast<size_t>(n));
  formula_fill(key, center, half, v);
  return {v.begin(), v.end()};
}

}  // namespace

// Tolerance: 1e-6 of values up to 4, the rounding of Keras' own float32 sums.
TEST_CASE("batch normalisation equals Keras' layer step by step") {
  NEEDS_GOLDENS("semantics/batch_norm.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "semantics" / "batch_norm.json");
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32 && target.dtype != DType::float64) return;
    for (const nlohmann::json& c : golden["cases"]) {
      int64_t size = 1;
      for (const int64_t d : c["shape"]) size *= d;
      const int64_t channels = c["shape"].back();
      const NormShape s{.rows = size / channels, .c = channels, .eps = c["epsilon"]};
      const bool scaled = c["scale"];
      CAPTURE(size);
      Trial t(target);
      const Guarded &gamma = t.input(values("bn/gamma", channels, 1, 0.1f), t.wide()), &beta = t.input(values("bn/beta", channels, 0, 0.1f), t.wide());
      const Guarded &moving_mean = t.state(values("bn/moving_mean", channels, 0, 0.1f), t.wide());
      const Guarded& moving_variance = t.state(values("bn/moving_variance", channels, 1, 0.2f), t.wide());
      const Buffer g = scaled ? Buffer(gamma) : Buffer{};
      for (const nlohmann::json& step : c["steps"]) {
        const std::string at = std::to_string(int(step["step"]));
        CAPTURE(at);
        const Guarded &x = t.input(values("bn/x/" + at, size, 0.5, 2)), &dy = t.input(values("bn/dy/" + at, size, 0, 1));
        const Guarded &mean = t.output(channels, t.wide()), &inv_std = t.output(channels, t.wide()), &y = t.output(size), &dx = t.output(size);
        const Guarded &dgamma = t.output(channels, t.wide()), &dbeta = t.output(channels, t.wide());
        t.backend().norm_train_forward(t.exec(), s, {.x = x, .gamma = g, .beta = beta, .moving_mean = moving_mean, .moving_variance = moving_variance,
                                                     .momentum = c["momentum"], .mean = mean, .inv_std = inv_std, .y = y});
        t.backend().norm_train_backward(t.exec(), s, {.x = x, .y = {}, .dy = dy, .gamma = g, .mean = mean, .inv_std = inv_std, .variance = {}, .dx = {dx}, .dgamma = {dgamma}, .dbeta = {dbeta}});
        const Tolerance close{4e-6, 1e-6};
        t.check("y", y, step["y"], close);
        t.check("dx", dx, step["dx"], close);
        t.check("dbeta", dbeta, step["dweights"]["beta"], close);
        if (scaled) t.check("dgamma", dgamma, step["dweights"]["gamma"], close);
        t.check("mean", mean, step["batch_mean"], Tolerance{1e-7, 1e-6});
        t.check("moving_mean", moving_mean, step["moving_mean"], Tolerance{1e-7, 1e-6});
        t.check("moving_variance", moving_variance, step["moving_variance"], Tolerance{1e-7, 1e-6});
      }
    }
  });
}
