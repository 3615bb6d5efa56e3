#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

const SoftmaxShape kShapes[] = {{1, 1}, {1, 2}, {3, 2}, {7, 5}, {4, 17}, {2, 1000}, {33, 2}};

// Softmax as a ratio, in double: safe for logits below 700.
std::vector<double> probabilities(const SoftmaxShape& s, const std::vector<double>& z) {
  std::vector<double> p = z;
  for (int64_t i = 0; i < s.rows; ++i) {
    double sum = 0;
    for (int64_t k = 0; k < s.classes; ++k) sum += std::exp(z[size_t(i * s.classes + k)]);
    for (int64_t k = 0; k < s.classes; ++k) p[size_t(i * s.classes + k)] = std::exp(z[size_t(i * s.classes + k)]) / sum;
  }
  return p;
}

std::vector<double> labels_for(const SoftmaxShape& s) {
  std::vector<double> v = numbers(4, s.rows, 0, double(s.classes));
  for (double& label : v) label = std::floor(label);
  return v;
}

}  // namespace

// Tolerance: exponentials of logits up to 8 turn an absolute error of the argument into a relative one: 8 roundings of size 8.
TEST_CASE("softmax and cross entropy and their gradient") {
  on_each_backend([](const Target& target) {
    for (const SoftmaxShape& s : kShapes) {
      CAPTURE(s.rows);
      CAPTURE(s.classes);
      Trial t(target);
      const int64_t n = s.rows * s.classes;
      const Guarded &z = t.input(numbers(1, n, -8, 8)), &labels = t.input(labels_for(s), DType::int32), &weights = t.input(numbers(2, s.classes, 0.5, 2), t.wide());
      const std::vector<double> p = probabilities(s, z.values);
      std::vector<double> losses, loss(1);
      for (size_t i = 0; i < size_t(s.rows); ++i) {
        const auto label = size_t(labels.values[i]);
        losses.push_back(-weights.values[label] * std::log(p[i * size_t(s.classes) + label]));
        loss[0] += losses[i] / double(s.rows);
      }

      const Guarded& alone = t.output(n, t.wide());
      t.backend().softmax(t.exec(), s, z, alone);
      t.check("p", alone, p, 64, 1);
      t.check_into("loss", t.wide(), loss, 64 + s.rows, 32, [&](Into sum) {
        const Guarded &got_p = t.output(n, t.wide()), &got_losses = t.output(s.rows, t.wide());
        t.backend().softmax_cross_entropy_forward(t.exec(), s, z, labels, weights, got_p, got_losses, sum);
        t.check("p", got_p, p, 64, 1);
        t.check("losses", got_losses, losses, 64, 32);
      });

      const Guarded &given = t.input(p, t.wide()), &dloss = t.input({-3}, t.wide());
      std::vector<double> dz = given.values;
      for (size_t i = 0; i < dz.size(); ++i) {
        const auto label = size_t(labels.values[i / size_t(s.classes)]);
        dz[i] = -3 * weights.values[label] * (given.values[i] - (i % size_t(s.classes) == label ? 1 : 0)) / double(s.rows);
      }
      t.check_into("dlogits", t.dtype(), dz, 4, 6, [&](Into d) { t.backend().softmax_cross_entropy_backward(t.exec(), s, given, labels, weights, dloss, d); });
    }
  });
}

// Keras: logits (30, −30) with label 1 cost 60, not −log 1e-7 = 16.1, and the gradient does not vanish.
TEST_CASE("cross entropy neither clips nor overflows") {
  on_each_backend([](const Target& target) {
    const SoftmaxShape s{3, 2};
    Trial t(target);
    const Guarded &z = t.input({30, -30, 30000, -30000, -1000, -1000}), &labels = t.input({1, 1, 0}, DType::int32), &weights = t.input({1, 1}, t.wide());
    const Guarded &p = t.output(6, t.wide()), &losses = t.output(3, t.wide()), &loss = t.output(1, t.wide());
    t.backend().softmax_cross_entropy_forward(t.exec(), s, z, labels, weights, p, losses, {loss});
    t.check("losses", losses, {60, z.values[2] - z.values[3], std::log(2.)}, Tolerance{0, 1e-6});
    CHECK(close(t.read(p)[1], std::exp(-60.), 0, 1e-5));
    CHECK(t.read(p)[2] == 1);
    CHECK(t.read(p)[3] == 0);
    const Guarded &one = t.input({1}, t.wide()), &dz = t.output(6), &kept = t.input(t.read(p), t.wide());
    t.backend().softmax_cross_entropy_backward(t.exec(), s, kept, labels, weights, one, {dz});
    t.check("dlogits", dz, {1 / 3., -1 / 3., 1 / 3., -1 / 3., -1 / 6., 1 / 6.}, 4, 1);
  });
}

TEST_CASE("a label that is no class is refused") {
  on_the_reference([](const Target& target) {
    Trial t(target);
    const SoftmaxShape s{2, 3};
    const Guarded &z = t.input(numbers(1, 6)), &weights = t.input({1, 1, 1}, t.wide()), &p = t.state(numbers(2, 6), t.wide());
    for (const double bad : {-1., 3.}) {
      const Guarded& labels = t.input({0, bad}, DType::int32);
      const Guarded &losses = t.output(2, t.wide()), &loss = t.output(1, t.wide()), &dz = t.output(6);
      CHECK_THROWS_AS(t.backend().softmax_cross_entropy_forward(t.exec(), s, z, labels, weights, p, losses, {loss}), Error);
      CHECK_THROWS_AS(t.backend().softmax_cross_entropy_backward(t.exec(), s, p, labels, weights, loss, {dz}), Error);
    }
  });
}

// Tolerance: a sum of n numbers of one sign, which rounds at the size of the sum.
TEST_CASE("sum_squares is the L2 term") {
  on_each_backend([](const Target& target) {
    for (const int64_t n : {1, 3, 64, 4099}) {
      CAPTURE(n);
      Trial t(target);
      const Guarded& x = t.input(numbers(1, n));
      double sum = 0;
      for (const double v : x.values) sum += 1e-3 * v * v;
      t.check_into("sum", t.wide(), {sum}, n, sum, [&](Into to) { t.backend().sum_squares(t.exec(), 1e-3, x, to); });
    }
  });
}
