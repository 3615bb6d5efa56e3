// Every recorded operation against central differences, for inputs and parameters.
#include "tests/support/grad.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr Act kActs[] = {Act::none, Act::relu, Act::relu6};

// Numbers in [−3, 9] that keep 0.01 away from the ends of the flat parts, 0 and 6.
Tensor away_from_kinks(const ReferencePass& pass, Shape shape, uint32_t key = 1) {
  std::vector<double> v = pass.random(shape, key, -3, 9).to_doubles();
  for (double& x : v)
    for (const double kink : {0., 6.})
      if (std::fabs(x - kink) < 0.01) x = kink + 0.01;
  return pass.values(v, shape);
}

// A permutation's worth of distinct numbers, 0.01 apart: no window has two maxima.
Tensor distinct(const ReferencePass& pass, Shape shape) {
  std::vector<double> v(static_cast<size_t>(shape.size()));
  for (size_t i = 0; i < v.size(); ++i) v[i] = 0.01 * double(i * 7919 % v.size());
  return pass.values(v, shape);
}

}  // namespace

TEST_CASE("conv") {
  const ReferencePass pass;
  for (const ConvWindow o : {ConvWindow{}, {.stride = 2, .pad_h = 1, .pad_w = 1}, {.stride = 2, .more_h = 1, .more_w = 1}, {.pad_w = 1}})
    EXPECT_GRAD({pass.random({2, 5, 6, 3}, 1), pass.random({3, 3, 3, 4}, 2)},
                [=](Context& c, const auto& in) { return conv(c, in[0], in[1], o); });
}

TEST_CASE("depthwise_conv") {
  const ReferencePass pass;
  for (const ConvWindow o : {ConvWindow{}, {.stride = 2, .pad_h = 1, .pad_w = 1}, {.stride = 2, .more_h = 1, .more_w = 1}, {.pad_h = 1}})
    EXPECT_GRAD({pass.random({2, 5, 6, 5}, 1), pass.random({3, 3, 5, 1}, 2)},
                [=](Context& c, const auto& in) { return depthwise_conv(c, in[0], in[1], o); });
}

TEST_CASE("dense") {
  const ReferencePass pass;
  EXPECT_GRAD({pass.random({3, 7}, 1), pass.random({7, 4}, 2)}, [](Context& c, const auto& in) { return dense(c, in[0], in[1]); });
}

TEST_CASE("bias_act") {
  const ReferencePass pass;
  const Tensor x = away_from_kinks(pass, {3, 2, 5}), zero = pass.values(std::vector<double>(5), {5});
  for (const Act act : kActs) EXPECT_GRAD({x, zero}, [=](Context& c, const auto& in) { return bias_act(c, in[0], in[1], act); });
}

TEST_CASE("norm_train") {
  const ReferencePass pass;
  for (const Act act : kActs) {
    BatchNorm bn{.moving_mean = pass.random({3}, 4), .moving_variance = pass.random({3}, 5, 1, 2), .act = act};
    const Tensor x = pass.random({2, 3, 2, 3}, 1), gamma = pass.random({3}, 2, 2, 4), beta = pass.random({3}, 3, 1, 4);
    EXPECT_GRAD({x, beta, gamma}, [=](Context& c, const auto& in) {
      BatchNorm all = bn;
      all.beta = in[1], all.gamma = in[2];
      return norm_train(c, in[0], all);
    });
    EXPECT_GRAD({x, beta}, [=](Context& c, const auto& in) {  // without gamma
      BatchNorm all = bn;
      all.beta = in[1];
      return norm_train(c, in[0], all);
    });
  }
}

TEST_CASE("norm_infer") {
  const ReferencePass pass;
  for (const Act act : kActs) {
    BatchNorm bn{.moving_mean = pass.random({3}, 4), .moving_variance = pass.random({3}, 5, 1, 2), .act = act};
    const Tensor x = pass.random({2, 3, 2, 3}, 1), gamma = pass.random({3}, 2, 2, 4), beta = pass.random({3}, 3, 1, 4);
    EXPECT_GRAD({x, beta, gamma}, [=](Context& c, const auto& in) {
      BatchNorm all = bn;
      all.beta = in[1], all.gamma = in[2];
      return norm_infer(c, in[0], all);
    });
    EXPECT_GRAD({x, beta}, [=](Context& c, const auto& in) {
      BatchNorm all = bn;
      all.beta = in[1];
      return norm_infer(c, in[0], all);
    });
  }
}

TEST_CASE("conv_norm_infer and depthwise_norm_infer") {
  const ReferencePass pass;
  for (const Act act : kActs) {
    const BatchNorm bn{.gamma = pass.random({4}, 2, 2, 4),
                       .beta = {},
                       .moving_mean = pass.random({4}, 4),
                       .moving_variance = pass.random({4}, 5, 1, 2),
                       .act = act};
    const auto with_beta = [=](const Tensor& beta) {
      BatchNorm all = bn;
      all.beta = beta;
      return all;
    };
    const Tensor x = pass.random({2, 3, 2, 3}, 1), w = pass.random({1, 1, 3, 4}, 6), deep = pass.random({2, 3, 2, 4}, 7),
                 deep_w = pass.random({3, 3, 4, 1}, 8), bias = pass.random({4}, 9), beta = pass.random({4}, 3, 1, 4);
    EXPECT_GRAD({x, w, bias, beta},
                [=](Context& c, const auto& in) { return conv_norm_infer(c, in[0], in[1], {}, in[2], with_beta(in[3])); });
    EXPECT_GRAD({x, w, beta}, [=](Context& c, const auto& in) { return conv_norm_infer(c, in[0], in[1], {}, {}, with_beta(in[2])); });
    EXPECT_GRAD({deep, deep_w, bias, beta}, [=](Context& c, const auto& in) {
      return depthwise_norm_infer(c, in[0], in[1], {.pad_h = 1, .pad_w = 1}, in[2], with_beta(in[3]));
    });
    const auto with_gamma = [=](const Tensor& beta, const Tensor& gamma) {
      BatchNorm all = with_beta(beta);
      all.gamma = gamma;
      return all;
    };
    for (const Tensor& gamma : {bn.gamma, pass.values({2.5, 0, -3, 4}, {4})}) {
      EXPECT_GRAD({x, w, bias, beta, gamma},
                  [=](Context& c, const auto& in) { return conv_norm_infer(c, in[0], in[1], {}, in[2], with_gamma(in[3], in[4])); });
      EXPECT_GRAD({x, w, beta, gamma},
                  [=](Context& c, const auto& in) { return conv_norm_infer(c, in[0], in[1], {}, {}, with_gamma(in[2], in[3])); });
      EXPECT_GRAD({deep, deep_w, beta, gamma}, [=](Context& c, const auto& in) {
        return depthwise_norm_infer(c, in[0], in[1], {.pad_h = 1, .pad_w = 1}, {}, with_gamma(in[2], in[3]));
      });
    }
  }
}

TEST_CASE("gamma is not folded into weights of 16 bits") {
  ReferencePass pass;
  Context c = pass.context();
  const Tensor row = pass.values({1, 2}, {2}, DType::float32);
  const BatchNorm bn{.gamma = row, .beta = row, .moving_mean = row, .moving_variance = row};
  for (const DType t : {DType::float16, DType::bfloat16}) {
    const Tensor x = pass.values({1, 2}, {1, 1, 1, 2}, t), w = pass.values({1, 2, 3, 4}, {1, 1, 2, 2}, t);
    CHECK_NOTHROW(conv_norm_infer(c, x, w, {}, {}, bn));
    pass.tape.watch(row);
    CHECK_THROWS_WITH_AS(conv_norm_infer(c, x, w, {}, {}, bn), doctest::Contains("gamma's gradient"), Error);
    pass.tape.clear();
  }
}

TEST_CASE("activation") {
  const ReferencePass pass;
  for (const Act act : kActs)
    EXPECT_GRAD({away_from_kinks(pass, {2, 3, 4})}, [=](Context& c, const auto& in) { return activation(c, in[0], act); });
}

TEST_CASE("add") {
  const ReferencePass pass;
  const Tensor a = away_from_kinks(pass, {4, 5}), tiny = pass.random({4, 5}, 2, -1e-3, 1e-3);
  for (const Act act : kActs) EXPECT_GRAD({a, tiny}, [=](Context& c, const auto& in) { return add(c, in[0], in[1], act); });
}

TEST_CASE("dropout") {
  const ReferencePass pass;
  const Tensor samples = pass.values({4, 9, 2}, {3}, DType::int32), epoch = pass.values({2}, {1}, DType::int32);
  EXPECT_GRAD({pass.random({3, 8})},
              [=](Context& c, const auto& in) { return dropout(c, in[0], 0.4f, {.seed = 5, .layer = 1}, samples, epoch); });
}

TEST_CASE("zero_pad") {
  const ReferencePass pass;
  EXPECT_GRAD({pass.random({2, 3, 4, 2})},
              [](Context& c, const auto& in) { return zero_pad(c, in[0], {.top = 1, .bottom = 2, .right = 1}); });
}

TEST_CASE("concat_channels") {
  const ReferencePass pass;
  EXPECT_GRAD({pass.random({2, 2, 3, 1}, 1), pass.random({2, 2, 3, 4}, 2), pass.random({2, 2, 3, 2}, 3)},
              [](Context& c, const auto& in) { return concat_channels(c, in); });
}

TEST_CASE("pools") {
  const ReferencePass pass;
  for (const PoolWindow o :
       {PoolWindow{}, {.window = 3, .stride = 2, .pad = 1}, {.window = 3, .stride = 1, .pad = 1}, {.window = 2, .stride = 3}}) {
    EXPECT_GRAD({distinct(pass, {2, 5, 6, 3})}, [=](Context& c, const auto& in) { return max_pool(c, in[0], o); });
    EXPECT_GRAD({pass.random({2, 5, 6, 3})}, [=](Context& c, const auto& in) { return avg_pool(c, in[0], o); });
  }
  EXPECT_GRAD({pass.random({2, 3, 4, 5})}, [](Context& c, const auto& in) { return global_avg_pool(c, in[0]); });
}

TEST_CASE("softmax_cross_entropy") {
  const ReferencePass pass;
  const Tensor labels = pass.values({2, 0, 1, 2}, {4}, DType::int32), weights = pass.values({1.5, 0.5, 1}, {3});
  EXPECT_GRAD({pass.random({4, 3}, 1, -2, 2)},
              [=](Context& c, const auto& in) { return softmax_cross_entropy(c, in[0], labels, weights).loss; });
}

// Both gradients of a tensor that two operations use are added, and so are those of one operation that uses it twice.
TEST_CASE("tensors used twice") {
  const ReferencePass pass;
  EXPECT_GRAD({pass.random({2, 3, 3, 4}, 1), pass.random({1, 1, 4, 4}, 2)}, [](Context& c, const auto& in) {
    const Tensor y = conv(c, in[0], in[1], {}), z = conv(c, y, in[1], {});  // one kernel in two places
    return concat_channels(c, {y, add(c, z, y), add(c, in[0], in[0]), in[0]});
  });
  EXPECT_GRAD({pass.random({4, 4})}, [](Context& c, const auto& in) { return dense(c, in[0], in[0]); });
}

// An inverted residual with a head: everything at once, and a reshape in the middle.
TEST_CASE("a small net") {
  const ReferencePass pass;
  const Tensor mean = pass.random({6}, 7, -0.1, 0.1), variance = pass.random({6}, 8, 0.5, 1),
               labels = pass.values({1, 0}, {2}, DType::int32), weights = pass.values({1, 2}, {2});
  EXPECT_GRAD({pass.random({2, 4, 4, 3}, 1), pass.random({1, 1, 3, 6}, 2), pass.random({6}, 3, 0.5, 1), pass.random({6}, 4),
               pass.random({3, 3, 6, 1}, 5), pass.random({1, 1, 6, 3}, 6), pass.random({12, 2}, 9)},
              [=](Context& c, const auto& in) {
                Tensor y = conv(c, in[0], in[1], {});
                y = norm_infer(c, y, {.gamma = in[2], .beta = in[3], .moving_mean = mean, .moving_variance = variance, .act = Act::relu});
                y = depthwise_conv(c, y, in[4], {.pad_h = 1, .pad_w = 1});
                y = add(c, in[0], conv(c, y, in[5], {}));
                y = avg_pool(c, y, {.window = 2, .stride = 2});
                return softmax_cross_entropy(c, dense(c, y.reshape({2, 12}), in[6]), labels, weights).loss;
              });
}
