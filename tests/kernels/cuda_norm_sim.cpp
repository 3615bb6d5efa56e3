// Batch normalisation against the reference: statistics, moving statistics, all combinations of wanted gradients.
#include "tests/kernels/cuda_sim.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Case {
  NormShape s;
  bool gamma = true;
};

// Channels around the widths of vectors and blocks, one row, many rows, more rows than one pass of all walkers; the nets' three kinds.
const Case kCases[] = {
    {{.rows = 1, .c = 1}},
    {{.rows = 1, .c = 17, .act = Act::relu}},
    {{.rows = 5, .c = 16, .act = Act::relu6}, false},
    {{.rows = 33, .c = 15, .eps = 1.001e-5, .act = Act::relu}},
    {{.rows = 2111, .c = 32, .act = Act::relu6}},
    {{.rows = 3, .c = 2056}},
    {{.rows = 300, .c = 24}, false},
};

Buffer or_none(const Both* b, bool here) { return !b ? Buffer{} : here ? b->here : b->there; }

}  // namespace

// Tolerance: statistics are sums of `rows` numbers up to 8; inv_std reaches 1/√eps where all rows are alike.
TEST_CASE("cuda: norm forward equals the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const Case& c : kCases) {
      CAPTURE(c.s.rows);
      CAPTURE(c.s.c);
      Duel d(type, shift);
      const Both &x = d.input(numbers(1, c.s.size(), -2, 8)), &beta = d.input(numbers(3, c.s.c), DType::float32);
      const Both* gamma = c.gamma ? &d.input(numbers(2, c.s.c, 0.5, 1.5), DType::float32) : nullptr;
      const Both &moving_mean = d.state(numbers(4, c.s.c), DType::float32),
                 &moving_variance = d.state(numbers(5, c.s.c, 0.5, 2), DType::float32), &mean = d.output(c.s.c, DType::float32),
                 &inv_std = d.output(c.s.c, DType::float32), &y = d.output(c.s.size());
      d.ref.norm_train_forward(*d.ref_exec, c.s,
                               {.x = x.here,
                                .gamma = or_none(gamma, true),
                                .beta = beta.here,
                                .moving_mean = moving_mean.here,
                                .moving_variance = moving_variance.here,
                                .momentum = 0.9,
                                .mean = mean.here,
                                .inv_std = inv_std.here,
                                .y = y.here});
      cuda::norm_train_forward(c.s,
                               {.x = x.there,
                                .gamma = or_none(gamma, false),
                                .beta = beta.there,
                                .moving_mean = moving_mean.there,
                                .moving_variance = moving_variance.there,
                                .momentum = 0.9,
                                .mean = mean.there,
                                .inv_std = inv_std.there,
                                .y = y.there},
                               d.exec, d.stream);
      d.same("y", y, 64, 8);
      d.same("mean", mean, 64, 8);
      d.same("inv_std", inv_std, Tolerance{1e-5, 1e-5});
      d.same("moving_mean", moving_mean, 64, 8);
      d.same("moving_variance", moving_variance, 64, 64);

      const Both& inferred = d.output(c.s.size());
      d.ref.norm_infer_forward(*d.ref_exec, c.s,
                               {x.here, or_none(gamma, true), beta.here, moving_mean.here, moving_variance.here, inferred.here});
      cuda::norm_infer_forward(c.s, {x.there, or_none(gamma, false), beta.there, moving_mean.there, moving_variance.there, inferred.there},
                               d.stream);
      d.same("y of inference", inferred, 64, 20);
    }
  });
}

// 1e4 ± 1: a difference of two sums of squares would lose every digit of the variance.
TEST_CASE("cuda: the variance survives a large mean") {
  in_each_schedule([](DType, bool shift) {
    const NormShape s{.rows = 3000, .c = 4};
    Duel d(DType::float32, shift);
    const Both &x = d.input(numbers(1, s.size(), 9999, 10001)), &beta = d.input(numbers(2, 4)),
               &moving_mean = d.state({0, 0, 0, 0}, DType::float32), &moving_variance = d.state({0, 0, 0, 0}, DType::float32),
               &mean = d.output(4), &inv_std = d.output(4), &y = d.output(s.size());
    d.ref.norm_train_forward(*d.ref_exec, s,
                             {.x = x.here,
                              .gamma = {},
                              .beta = beta.here,
                              .moving_mean = moving_mean.here,
                              .moving_variance = moving_variance.here,
                              .momentum = 0,
                              .mean = mean.here,
                              .inv_std = inv_std.here,
                              .y = y.here});
    cuda::norm_train_forward(s,
                             {.x = x.there,
                              .gamma = {},
                              .beta = beta.there,
                              .moving_mean = moving_mean.there,
                              .moving_variance = moving_variance.there,
                              .momentum = 0,
                              .mean = mean.there,
                              .inv_std = inv_std.there,
                              .y = y.there},
                             d.exec, d.stream);
    d.same("mean", mean, Tolerance{0, 1e-6});
    d.same("variance", moving_variance, Tolerance{0, 2e-3});
    d.same("inv_std", inv_std, Tolerance{0, 1e-3});
  });
}

TEST_CASE("cuda: norm backward equals the reference and computes only what is asked for") {
  in_each_schedule([](DType type, bool shift) {
    for (const Case& c : kCases)
      for (const bool training : {true, false})
        for (const int wanted : {7, 1, 2, 4}) {  // bits: dx, dgamma, dbeta
          CAPTURE(c.s.rows);
          CAPTURE(c.s.c);
          CAPTURE(training);
          CAPTURE(wanted);
          Duel d(type, shift);
          const Both &x = d.input(numbers(1, c.s.size(), -2, 8)), &y = d.input(numbers(2, c.s.size(), -4, 10)),
                     &dy = d.input(numbers(3, c.s.size()));
          const Both& beta = d.input(numbers(7, c.s.c), DType::float32);
          const Both* gamma = c.gamma ? &d.input(numbers(2, c.s.c, 0.5, 1.5), DType::float32) : nullptr;
          const Both &mean = d.input(numbers(4, c.s.c, 2, 4), DType::float32),
                     &variance = d.input(numbers(5, c.s.c, 4, 10), DType::float32);
          std::vector<double> inv = variance.values;
          for (double& v : inv) v = 1 / std::sqrt(v);
          const Both& inv_std = d.input(inv, DType::float32);
          for (const Accumulate how : {Accumulate::no, Accumulate::yes}) {
            const auto result = [&](int bit, int64_t n, DType t) {
              return !(wanted & bit) ? nullptr : how == Accumulate::no ? &d.output(n, t) : &d.state(numbers(98, n), t);
            };
            const Both *dx = result(1, c.s.size(), type), *dgamma = result(2, c.s.c, DType::float32),
                       *dbeta = result(4, c.s.c, DType::float32);
            const auto arguments = [&](bool here) {
              const auto at = [&](const Both& b) { return here ? b.here : b.there; };
              return NormBackward{.x = at(x),
                                  .y = at(y),
                                  .dy = at(dy),
                                  .gamma = or_none(gamma, here),
                                  .beta = at(beta),
                                  .mean = at(mean),
                                  .inv_std = at(inv_std),
                                  .variance = at(variance),
                                  .dx = {or_none(dx, here), how},
                                  .dgamma = {or_none(dgamma, here), how},
                                  .dbeta = {or_none(dbeta, here), how}};
            };
            if (training) {
              d.ref.norm_train_backward(*d.ref_exec, c.s, arguments(true));
              cuda::norm_train_backward(c.s, arguments(false), d.exec, d.stream);
            } else {
              d.ref.norm_infer_backward(*d.ref_exec, c.s, arguments(true));
              cuda::norm_infer_backward(c.s, arguments(false), d.exec, d.stream);
            }
            if (dx) d.same("dx", *dx, 64, 8);
            if (dgamma) d.same("dgamma", *dgamma, c.s.rows + 16, 3);
            if (dbeta) d.same("dbeta", *dbeta, c.s.rows + 16, 1);
          }
        }
  });
}
