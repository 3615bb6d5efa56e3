#include "layers/formula.hpp"

#include <numeric>

#include "tests/support/support.hpp"

using namespace ptrain;

TEST_CASE("formula: the numbers of the golden generator") {
  CHECK(fnv1a64("foobar") == 0x85944171f73967e8u);
  CHECK(splitmix64(0) == 0xe220a8397b1dcdafu);
  CHECK(unit("a", 0) == 0.37173092365264893);
  const float want[] = {0.0096725896f, 0.438283175f, 0.279624492f, 0.0115561597f};
  for (uint64_t i = 0; i < 4; ++i) CHECK(formula("MobileNetV2/Conv1/kernel", i, 0, float(std::sqrt(6.0 / 27))) == want[i]);
}

TEST_CASE("formula: ranges by net, layer and weight") {
  struct Case {
    const char *net, *layer, *weight;
    Shape shape;
    float first, second, last;
    double sum;
  };
  const Case cases[] = {
      {"MobileNetV2",
       "block_1_depthwise",
       "depthwise_kernel",
       {3, 3, 96, 1},
       -0.0483990312f,
       0.608979583f,
       -0.726873815f,
       -5.889725101646036},
      {"MobileNetV2", "block_1_project_BN", "gamma", {24}, 0.497836143f, 0.506159127f, 0.47469908f, 12.65993669629097},
      {"ResNet50", "conv2_block1_0_bn", "gamma", {256}, 0.479660988f, 0.455229104f, 0.401204526f, 128.61685249209404},
      {"DenseNet121", "conv2_block1_0_bn", "gamma", {64}, 1.09174955f, 0.967382669f, 1.05602074f, 64.28254461288452},
      {"InceptionV3", "batch_normalization_93", "moving_variance", {192}, 0.859963655f, 0.869428277f, 0.885192394f, 190.16747230291367},
      {"VGG16", "head_1", "kernel", {512, 256}, -0.0182205867f, -0.0674465671f, -0.0354838707f, -20.664415682694127},
      {"VGG16", "head_1", "bias", {256}, -0.0790714622f, -0.0286768433f, 0.061516989f, -0.30543851270340383},
  };
  for (const Case& c : cases) {
    CAPTURE(c.layer);
    const auto [center, half] = formula_range(c.net, c.layer, c.weight, c.shape);
    std::vector<float> values(size_t(c.shape.size()));
    formula_fill(concat("held/", c.net, "/", c.layer, "/", c.weight), center, half, values);
    CHECK(values[0] == c.first);
    CHECK(values[1] == c.second);
    CHECK(values.back() == c.last);
    CHECK(std::accumulate(values.begin(), values.end(), 0.0) == doctest::Approx(c.sum).epsilon(1e-12));
  }
  CHECK_THROWS_AS(formula_range("VGG16", "x", "something", {3}), Error);
}

TEST_CASE("formula: images and pictures") {
  const std::vector<float> x = formula_input(2, 161, 195, "s/");
  REQUIRE(x.size() == 2 * 161 * 195 * 3);
  CHECK(x[0] == -0.276835561f);
  CHECK(x[1] == 0.584355175f);
  CHECK(x[50] == -0.360315949f);
  CHECK(x[100 * 195 * 3 + 77] == -0.45624274f);
  CHECK(x[x.size() / 2] == 0.337233514f);
  CHECK(x.back() == 0.177911133f);
  CHECK(std::accumulate(x.begin(), x.end(), 0.0) == doctest::Approx(3616.2633711099625).epsilon(1e-12));
  const std::vector<uint8_t> p = formula_picture(37, 53);
  CHECK(std::vector<uint8_t>(p.begin(), p.begin() + 8) == std::vector<uint8_t>{13, 82, 76, 123, 46, 192, 33, 132});
  CHECK(std::accumulate(p.begin(), p.end(), 0) == 745335);
  const std::vector<uint8_t> grey = formula_picture(5, 4, "s/", 1);
  CHECK(std::accumulate(grey.begin(), grey.end(), 0) == 2701);
}
