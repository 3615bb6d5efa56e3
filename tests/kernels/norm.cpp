#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Case {
  NormShape s;
  bool gamma = true;
};

// Channels around the widths of vectors and blocks, one row, many rows; the three kinds of batch norm that the nets have.
const Case kCases[] = {
    {{.rows = 1, .c = 1}},
    {{.rows = 1, .c = 17, .act = Act::relu}},
    {{.rows = 2, .c = 3, .eps = 1.001e-5}},
    {{.rows = 5, .c = 16, .act = Act::relu6}, false},
    {{.rows = 33, .c = 15, .eps = 1.001e-5, .act = Act::relu}},
    {{.rows = 60, .c = 4}, false},
    {{.rows = 105, .c = 33, .act = Act::relu6}},
};

// One batch norm and its statistics, in double.
struct Norm {
  Norm(Trial& t, const Case& c, const std::vector<double>& values)
      : s(c.s),
        x(t.input(values)),
        gamma(c.gamma ? &t.input(numbers(2, s.c, 0.5, 1.5), t.wide()) : nullptr),
        beta(t.input(numbers(3, s.c), t.wide())),
        mean(size_t(s.c)),
        variance(size_t(s.c)) {
    for (size_t i = 0; i < x.values.size(); ++i) mean[channel(i)] += x.values[i] / double(s.rows);
    for (size_t i = 0; i < x.values.size(); ++i) variance[channel(i)] += std::pow(x.values[i] - mean[channel(i)], 2) / double(s.rows);
  }
  size_t channel(size_t i) const { return i % size_t(s.c); }
  double scale(size_t c) const { return gamma ? gamma->values[c] : 1; }
  std::vector<double> inv_std(const std::vector<double>& of) const {
    std::vector<double> v;
    for (const double variance_of_channel : of) v.push_back(1 / std::sqrt(variance_of_channel + s.eps));
    return v;
  }
  std::vector<double> y(const std::vector<double>& m, const std::vector<double>& inv) const {
    std::vector<double> out;
    for (size_t i = 0; i < x.values.size(); ++i) {
      const double v = scale(channel(i)) * (x.values[i] - m[channel(i)]) * inv[channel(i)] + beta.values[channel(i)];
      out.push_back(s.act == Act::none ? v : s.act == Act::relu ? std::max(v, 0.) : std::min(std::max(v, 0.), 6.));
    }
    return out;
  }
  Buffer gamma_buffer() const { return gamma ? gamma->buffer : Buffer{}; }

  NormShape s;
  const Guarded& x;
  const Guarded* gamma;
  const Guarded& beta;
  std::vector<double> mean, variance;
};

}  // namespace

// Tolerance: x̂ is a difference of numbers up to 4 over their spread; with two rows that are close together inv_std reaches 1/√eps,
// which multiplies the rounding of the sums. The statistics are sums of `rows` numbers.
TEST_CASE("norm_train normalises by the batch and moves the moving statistics") {
  on_each_backend([](const Target& target) {
    for (const Case& c : kCases)
      for (const double momentum : {0.99, 0.999, 0.}) {
        CAPTURE(c.s.rows);
        CAPTURE(c.s.c);
        CAPTURE(momentum);
        Trial t(target);
        const Norm n(t, c, numbers(1, c.s.size(), -2, 4));
        const Guarded &moving_mean = t.state(numbers(4, c.s.c), t.wide()), &moving_variance = t.state(numbers(5, c.s.c, 0.5, 2), t.wide());
        const Guarded &mean = t.output(c.s.c, t.wide()), &inv_std = t.output(c.s.c, t.wide()), &y = t.output(c.s.size());
        t.backend().norm_train_forward(t.exec(), c.s,
                                       {.x = n.x,
                                        .gamma = n.gamma_buffer(),
                                        .beta = n.beta,
                                        .moving_mean = moving_mean,
                                        .moving_variance = moving_variance,
                                        .momentum = momentum,
                                        .mean = mean,
                                        .inv_std = inv_std,
                                        .y = y});
        std::vector<double> want_mean = moving_mean.values, want_variance = moving_variance.values;
        const double m = momentum;
        for (size_t i = 0; i < want_mean.size(); ++i) {
          want_mean[i] = want_mean[i] * m + n.mean[i] * (1 - m);
          want_variance[i] = want_variance[i] * m + n.variance[i] * (1 - m);
        }
        t.check("y", y, n.y(n.mean, n.inv_std(n.variance)), c.s.rows, 100);
        const Guarded& again = t.output(c.s.size());
        t.backend().norm_apply(t.exec(), c.s,
                               {.x = n.x, .gamma = n.gamma_buffer(), .beta = n.beta, .mean = mean, .inv_std = inv_std, .y = again});
        t.check("y once more", again, n.y(t.read(mean), t.read(inv_std)), 4, 100);
        t.check("mean", mean, n.mean, c.s.rows, 4);
        t.check("inv_std", inv_std, n.inv_std(n.variance), c.s.rows, 100);
        t.check("moving_mean", moving_mean, want_mean, c.s.rows, 4);
        t.check("moving_variance", moving_variance, want_variance, c.s.rows, 16);
      }
  });
}

// Tolerance: a few operations on numbers up to 10.
TEST_CASE("norm_infer normalises by the moving statistics") {
  on_each_backend([](const Target& target) {
    for (const Case& c : kCases) {
      CAPTURE(c.s.rows);
      CAPTURE(c.s.c);
      Trial t(target);
      const Norm n(t, c, numbers(1, c.s.size(), -2, 8));
      const Guarded &mean = t.input(numbers(4, c.s.c), t.wide()), &variance = t.input(numbers(5, c.s.c, 0.5, 2), t.wide()),
                    &y = t.output(c.s.size());
      t.backend().norm_infer_forward(t.exec(), c.s,
                                     {.x = n.x, .gamma = n.gamma_buffer(), .beta = n.beta, .mean = mean, .variance = variance, .y = y});
      t.check("y", y, n.y(mean.values, n.inv_std(variance.values)), 4, 20);
    }
  });
}

// dx from the Jacobian of the normalisation, element by element; each combination of wanted results.
// Tolerance: sums over the rows of products up to 5, times gamma · inv_std up to 3 (100 and more where rows are close together).
TEST_CASE("norm backward follows the Jacobian and computes only what is asked for") {
  on_each_backend([](const Target& target) {
    for (const Case& c : kCases)
      for (const bool training : {true, false})
        for (int wanted = 1; wanted < 8; ++wanted) {  // bits: dx, dgamma, dbeta
          CAPTURE(c.s.rows);
          CAPTURE(c.s.c);
          CAPTURE(training);
          CAPTURE(wanted);
          Trial t(target);
          const Norm n(t, c, numbers(1, c.s.size(), -2, 8));
          const Guarded &mean = t.input(training ? n.mean : numbers(4, c.s.c), t.wide()),
                        &variance = t.input(training ? n.variance : numbers(5, c.s.c, 0.5, 2), t.wide());
          const Guarded& inv_std = t.input(n.inv_std(variance.values), t.wide());
          const std::vector<double> inv = training ? inv_std.values : n.inv_std(variance.values);
          const Guarded &y = t.input(n.y(mean.values, inv)), &dy = t.input(numbers(6, c.s.size()));

          std::vector<double> dz = dy.values, x_hat = n.x.values, dx(dz.size()), dgamma(size_t(c.s.c)), dbeta(size_t(c.s.c));
          double largest = 1;
          for (size_t i = 0; i < dz.size(); ++i) {
            if (c.s.act != Act::none && y.values[i] <= 0) dz[i] = 0;
            if (c.s.act == Act::relu6 && y.values[i] >= 6) dz[i] = 0;
            x_hat[i] = (n.x.values[i] - mean.values[n.channel(i)]) * inv[n.channel(i)];
            dbeta[n.channel(i)] += dz[i];
            dgamma[n.channel(i)] += dz[i] * x_hat[i];
            largest = std::max(largest, n.scale(n.channel(i)) * inv[n.channel(i)]);
          }
          for (size_t i = 0; i < dz.size(); ++i)
            for (size_t j = n.channel(i); j < dz.size(); j += size_t(c.s.c)) {
              double slope = i == j ? 1 : 0;  // of x̂[j] along x[i], times the standard deviation
              if (training) slope -= (1 + x_hat[i] * x_hat[j]) / double(c.s.rows);
              dx[i] += dz[j] * slope * n.scale(n.channel(i)) * inv[n.channel(i)];
            }

          const auto run = [&](Into into_dx, Into into_dgamma, Into into_dbeta, Buffer gradient) {
            NormBackward b{.x = training || into_dgamma ? Buffer(n.x) : Buffer{},
                           .y = c.s.act == Act::none || training ? Buffer{} : Buffer(y),
                           .dy = gradient,
                           .gamma = n.gamma_buffer(),
                           .beta = c.s.act == Act::none || !training ? Buffer{} : Buffer(n.beta),
                           .mean = mean,
                           .inv_std = {},
                           .variance = {},
                           .dx = into_dx,
                           .dgamma = into_dgamma,
                           .dbeta = into_dbeta};
            (training ? b.inv_std : b.variance) = training ? inv_std : variance;
            training ? t.backend().norm_train_backward(t.exec(), c.s, b) : t.backend().norm_infer_backward(t.exec(), c.s, b);
          };
          const bool wants_dx = wanted & 1, wants_dgamma = wanted & 2, wants_dbeta = wanted & 4;
          if (wants_dx)
            t.check_into("dx", t.dtype(), dx, c.s.rows + 8, 8 * largest, [&](Into d) {
              run(d, wants_dgamma ? Into{t.output(c.s.c, t.wide())} : Into{}, wants_dbeta ? Into{t.output(c.s.c, t.wide())} : Into{}, dy);
            });
          if (wants_dx) {
            const Guarded& same = t.state(dy.values, t.dtype());
            run({same}, wants_dgamma ? Into{t.output(c.s.c, t.wide())} : Into{}, wants_dbeta ? Into{t.output(c.s.c, t.wide())} : Into{},
                same);
            t.check("dx in the place of dy", same, dx, c.s.rows + 8, 8 * largest);
          }
          if (wants_dgamma)
            t.check_into("dgamma", t.wide(), dgamma, c.s.rows, 8 * largest, [&](Into d) {
              run(wants_dx ? Into{t.output(c.s.size())} : Into{}, d, wants_dbeta ? Into{t.output(c.s.c, t.wide())} : Into{}, dy);
            });
          if (wants_dbeta)
            t.check_into("dbeta", t.wide(), dbeta, c.s.rows, 1, [&](Into d) {
              run(wants_dx ? Into{t.output(c.s.size())} : Into{}, wants_dgamma ? Into{t.output(c.s.c, t.wide())} : Into{}, d, dy);
            });
        }
  });
}
