#include "kernels/cpu/conv_choice.hpp"
#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Calls {
  std::function<void(Backend&, Exec&, Buffer x, Buffer w, Buffer y)> forward;
  std::function<void(Backend&, Exec&, Buffer x, Buffer w, Buffer bias, const NormInfer&)> at_once;
};

Calls calls(const ConvShape& s, Act act, double eps) {
  return {
      [=](Backend& b, Exec& e, Buffer x, Buffer w, Buffer y) { b.conv_forward(e, s, x, w, y); },
      [=](Backend& b, Exec& e, Buffer x, Buffer w, Buffer bias, const NormInfer& t) { b.conv_norm_infer(e, s, act, eps, x, w, bias, t); }};
}
Calls calls(const DepthwiseShape& s, Act act, double eps) {
  return {[=](Backend& b, Exec& e, Buffer x, Buffer w, Buffer y) { b.depthwise_forward(e, s, x, w, y); },
          [=](Backend& b, Exec& e, Buffer x, Buffer w, Buffer bias, const NormInfer& t) {
            b.depthwise_norm_infer(e, s, act, eps, x, w, bias, t);
          }};
}

// The convolution's result as its type holds it, then the rest in double. `more`: what an algorithm may be off besides its rounding.
template <class Shape>
void expect_same_as_the_calls(const Target& target, const Shape& s, int64_t channels, int64_t terms, double more = 0) {
  for (const Act act : {Act::none, Act::relu, Act::relu6})
    for (const bool gamma : {true, false})
      for (const bool bias : {true, false}) {
        CAPTURE(s.h);
        CAPTURE(s.c);
        CAPTURE(channels);
        CAPTURE(gamma);
        CAPTURE(bias);
        Trial t(target);
        const double eps = 1e-3;
        const Guarded &x = t.input(numbers(1, s.x_size())), &w = t.input(numbers(2, s.w_size())),
                      &b = t.input(numbers(3, channels), t.wide()), &g = t.input(numbers(4, channels, -2, 2), t.wide()),
                      &beta = t.input(numbers(5, channels, -1, 4), t.wide()), &mean = t.input(numbers(6, channels), t.wide()),
                      &variance = t.input(numbers(7, channels, 0.5, 2), t.wide());
        const Guarded &z = t.output(s.y_size()), &y = t.output(s.y_size());
        const Calls c = calls(s, act, eps);
        c.forward(t.backend(), t.exec(), x, w, z);
        std::vector<double> want = t.read(z);
        for (size_t i = 0; i < want.size(); ++i) {
          const size_t k = i % size_t(channels);
          want[i] =
              (want[i] + (bias ? b.values[k] : 0) - mean.values[k]) * (gamma ? g.values[k] : 1) / std::sqrt(variance.values[k] + eps) +
              beta.values[k];
          if (act != Act::none) want[i] = std::max(want[i], 0.0);
          if (act == Act::relu6) want[i] = std::min(want[i], 6.0);
        }
        c.at_once(t.backend(), t.exec(), x, w, bias ? Buffer(b) : Buffer{},
                  {.x = {}, .gamma = gamma ? Buffer(g) : Buffer{}, .beta = beta, .mean = mean, .variance = variance, .y = y});
        Tolerance near = tolerance(target, terms + 8, 6, target.dtype);
        near.atol += 3 * rounding_of(target.dtype) * std::sqrt(double(terms)) * 3 + more;  // of z, which may be rounded before the scale
        t.check("y", y, want, near);
      }
}

const ConvShape kConvs[] = {
    {.n = 3, .h = 5, .w = 4, .c = 16, .k = 32},
    {.n = 2, .h = 3, .w = 7, .c = 7, .k = 5},
    {.n = 2, .h = 9, .w = 7, .c = 16, .k = 24, .r = 3, .s = 3, .stride = 2, .more_h = 1, .more_w = 1},
    {.n = 1, .h = 6, .w = 11, .c = 32, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 2, .h = 8, .w = 8, .c = 16, .k = 48, .r = 1, .s = 7, .pad_w = 3},
};

}  // namespace

TEST_CASE("a convolution with its batch norm is the two, one after the other") {
  on_each_backend([](const Target& target) {
    for (const ConvShape& s : kConvs) expect_same_as_the_calls(target, s, s.k, s.r * s.s * s.c);
    for (const DepthwiseShape& s : {DepthwiseShape{.n = 2, .h = 7, .w = 6, .c = 32, .pad_h = 1, .pad_w = 1},
                                    DepthwiseShape{.n = 2, .h = 9, .w = 7, .c = 13, .stride = 2, .more_h = 1, .more_w = 1}})
      expect_same_as_the_calls(target, s, s.c, s.r * s.s);
  });
}

TEST_CASE("a convolution by Winograd with its batch norm is the two, one after the other") {
  Target target{make_cpu_backend()};
  cpu::conv_algorithms(*target.backend)->choose(cpu::ConvChoice::winograd);
  expect_same_as_the_calls(target, kConvs[3], kConvs[3].k, 9 * kConvs[3].c, 2e-4 * 8);  // winograd.cpp's share of the rms, which is 8
}

TEST_CASE("a convolution with its batch norm refuses parameters of other sizes") {
  on_the_reference([](const Target& target) {
    Trial t(target);
    const ConvShape s{.n = 1, .h = 2, .w = 2, .c = 3, .k = 4};
    const Guarded &x = t.input(numbers(1, s.x_size())), &w = t.input(numbers(2, s.w_size())),
                  &four = t.input(numbers(3, 4, 1, 2), t.wide()), &three = t.input(numbers(4, 3, 1, 2), t.wide()),
                  &y = t.output(s.y_size());
    const NormInfer good{.x = {}, .gamma = four, .beta = four, .mean = four, .variance = four, .y = y};
    CHECK_NOTHROW(t.backend().conv_norm_infer(t.exec(), s, Act::none, 1e-3, x, w, four, good));
    CHECK_THROWS_AS(t.backend().conv_norm_infer(t.exec(), s, Act::none, 1e-3, x, w, three, good), Error);
    for (Buffer NormInfer::*p : {&NormInfer::gamma, &NormInfer::beta, &NormInfer::mean, &NormInfer::variance}) {
      NormInfer bad = good;
      bad.*p = three;
      CHECK_THROWS_AS(t.backend().conv_norm_infer(t.exec(), s, Act::none, 1e-3, x, w, {}, bad), Error);
    }
  });
}
