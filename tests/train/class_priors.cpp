// The class shares that a model is for: what its training saw, what is changed, and what a file may say.
#include "train/class_priors.hpp"
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/class_weights.hpp"

namespace ptrain::test {
namespace {

ModelSpec spec(std::vector<std::string> classes, const std::string& point, int positive) {
  ModelSpec s{.net = "mobilenet_v2",
              .height = 32,
              .width = 32,
              .head = {.dense = {4}, .dropout = {0}, .l2 = 0},
              .classes = std::move(classes),
              .positive = positive};
  s.head.classes = int64_t(s.classes.size()), s.operating_point = point;
  return s;
}

}  // namespace

TEST_CASE("the shares that a training saw are counts times weights") {
  const std::vector<int64_t> counts{1341, 3875};
  const std::vector<std::string> names{"a", "b"};
  CHECK(seen_priors(counts, class_weights("auto", counts, names)) == std::vector<double>{0.5, 0.5});
  CHECK(difference(seen_priors(counts, class_weights("none", counts, names)), std::vector<double>{1341.0 / 5216, 3875.0 / 5216}, 1e-12,
                   0) == "");
  CHECK(difference(seen_priors(counts, std::vector<float>{2, 1}), std::vector<double>{2682.0 / 6557, 3875.0 / 6557}, 1e-12, 0) == "");
  CHECK(seen_priors(counts, std::vector<float>{0, 1}).empty());
  CHECK(training_priors(spec({"a", "b", "c"}, "", 2)) == std::vector<double>(3, 1.0 / 3));
}

TEST_CASE("a threshold of a rule decides as before and one that is a probability does not move") {
  const std::vector<double> p{0.9, 0.1, 0.62, 0.38, 0.58, 0.42, 0.2, 0.8};
  for (const int positive : {0, 1})
    for (const char* point : {"youden", "sens=0.95", "spec=0.9"}) {
      ModelSpec s = spec({"a", "b"}, point, positive);
      s.threshold = 0.4, s.training_priors = {0.3, 0.7};
      const ModelSpec before = s;
      set_priors(s, {0.75, 0.25});
      const std::vector<double> q = with_priors(s, p);
      for (size_t i = 0; i < p.size(); i += 2) {
        const size_t at = i + size_t(positive);
        CHECK((q[at] >= s.threshold) == (p[at] >= before.threshold));
        const double a = p[i] * 0.75 / 0.3, b = p[i + 1] * 0.25 / 0.7;
        CHECK(close(q[i], a / (a + b), 1e-14, 0));
      }
      CHECK(s.threshold != before.threshold);
      set_priors(s, {0.1, 0.9});  // from shares to shares
      set_priors(s, {});
      CHECK(close(s.threshold, 0.4, 1e-14, 0));
      CHECK(with_priors(s, p) == p);
    }
  for (const char* point : {"", "0.5"}) {
    ModelSpec s = spec({"a", "b"}, point, 1);
    set_priors(s, {0.75, 0.25});
    CHECK(s.threshold == 0.5);
  }
}

TEST_CASE("three classes are adjusted and a file keeps what was stored") {
  const TempDir temp;
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Model model(spec({"a", "b", "c"}, "", 2), memory);
  formula_weights(model.params, "MobileNetV2");
  model.spec.training_priors = {0.2, 0.3, 0.5};
  save_model(model, temp / "m.h5", {{"epoch", int64_t{3}}});
  CHECK(read_spec(WeightFileReader(temp / "m.h5")).priors.empty());
  store_priors(temp / "m.h5", {0.5, 0.25, 0.25});
  const ModelSpec stored = read_spec(WeightFileReader(temp / "m.h5"));
  CHECK(stored.priors == std::vector<double>{0.5, 0.25, 0.25});
  CHECK(stored.training_priors == model.spec.training_priors);
  CHECK(WeightFileReader(temp / "m.h5").integer("epoch") == 3);
  const double a = 0.2 * 2.5, b = 0.5 * 0.25 / 0.3, c = 0.3 * 0.5, sum = a + b + c;
  CHECK(difference(with_priors(stored, {0.2, 0.5, 0.3}), std::vector<double>{a / sum, b / sum, c / sum}, 1e-14, 0) == "");
  store_priors(temp / "m.h5", {});
  CHECK_FALSE(WeightFileReader(temp / "m.h5").has_attribute("priors"));

  for (const std::vector<double>& bad :
       {std::vector<double>{0.5, 0.5}, {0.5, 0.5, 0.5}, {0, 0.5, 0.5}, {std::nan(""), 0.5, 0.5}, {-0.5, 1, 0.5}}) {
    Model broken = load_model(temp / "m.h5", memory);
    broken.spec.priors = bad;
    save_model(broken, temp / "bad.h5");
    CHECK_THROWS_WITH_AS(read_spec(WeightFileReader(temp / "bad.h5")), doctest::Contains("'priors' must be 3 class shares"), Error);
  }
}

}  // namespace ptrain::test
