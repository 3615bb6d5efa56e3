// Pooling, padding and copies of channels against the reference.
#include "tests/kernels/cuda_sim.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// Windows inside, over the edges, with gaps, overlapping; channels beside and on the widths of vectors.
const PoolShape kPools[] = {
    {.n = 1, .h = 2, .w = 2, .c = 1, .window = 2, .stride = 2, .pad = 0},
    {.n = 2, .h = 7, .w = 5, .c = 3, .window = 3, .stride = 2, .pad = 1},
    {.n = 2, .h = 6, .w = 9, .c = 16, .window = 3, .stride = 2, .pad = 0},
    {.n = 1, .h = 8, .w = 7, .c = 24, .window = 3, .stride = 1, .pad = 1},
    {.n = 3, .h = 9, .w = 9, .c = 8, .window = 2, .stride = 3, .pad = 1},
    {.n = 1, .h = 5, .w = 4, .c = 520, .window = 2, .stride = 2, .pad = 0},
    {.n = 1, .h = 3, .w = 4, .c = 5, .window = 3, .stride = 1, .pad = 2},
};

// Numbers with many equal ones, so that "the first maximum" matters.
std::vector<double> with_ties(int64_t n) {
  std::vector<double> v = numbers(1, n, -4, 4);
  for (double& x : v) x = std::round(x);
  return v;
}

}  // namespace

TEST_CASE("cuda: pooling equals the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const PoolShape& s : kPools) {
      CAPTURE(s.h);
      CAPTURE(s.c);
      Duel d(type, shift);
      const Both &x = d.input(with_ties(s.x_size())), &dy = d.input(numbers(2, s.y_size())), &y = d.output(s.y_size()),
                 &alone = d.output(s.y_size()), &mean = d.output(s.y_size());
      for (const Act act : {Act::none, Act::relu, Act::relu6}) {
        const Both& argmax = d.output(s.y_size(), DType::uint8);
        d.ref.max_pool_forward(*d.ref_exec, s, x.here, y.here, argmax.here, act);
        cuda::max_pool_forward(s, x.there, y.there, argmax.there, act, d.stream);
        d.same("max", y, Tolerance{});
        d.same("argmax", argmax, Tolerance{});
        d.same_into("dx of max", s.x_size(), type, 9, 1, [&](IntoBoth dx) {
          d.ref.max_pool_backward(*d.ref_exec, s, argmax.here, dy.here, dx.here);
          cuda::max_pool_backward(s, argmax.there, dy.there, dx.there, d.stream);
        });
      }
      d.ref.max_pool_forward(*d.ref_exec, s, x.here, alone.here);
      cuda::max_pool_forward(s, x.there, alone.there, {}, Act::none, d.stream);
      d.same("max without argmax", alone, Tolerance{});
      d.ref.avg_pool_forward(*d.ref_exec, s, x.here, mean.here);
      cuda::avg_pool_forward(s, x.there, mean.there, d.stream);
      d.same("mean", mean, s.window * s.window, 4);
      d.same_into("dx of mean", s.x_size(), type, 9, 1, [&](IntoBoth dx) {
        d.ref.avg_pool_backward(*d.ref_exec, s, dy.here, dx.here);
        cuda::avg_pool_backward(s, dy.there, dx.there, d.stream);
      });
    }
  });
}

TEST_CASE("cuda: a NaN is the maximum of its windows and takes their gradients") {
  in_each_schedule([](DType type, bool shift) {
    const PoolShape s{.n = 1, .h = 4, .w = 4, .c = 1, .window = 3, .stride = 1, .pad = 0};
    Duel d(type, shift);
    std::vector<double> values = numbers(1, 16);
    values[5] = values[6] = std::numeric_limits<double>::quiet_NaN();
    const Both &x = d.input(values), &y = d.output(4), &argmax = d.output(4, DType::uint8), &dy = d.input({1, 2, 4, 8}), &dx = d.output(16);
    cuda::max_pool_forward(s, x.there, y.there, argmax.there, Act::none, d.stream);
    for (const double v : d.read(y)) CHECK(std::isnan(v));
    cuda::max_pool_backward(s, argmax.there, dy.there, {dx.there}, d.stream);
    std::vector<double> want(16, 0.0);
    want[5] = 15;
    CHECK(d.read(dx) == want);
  });
}

TEST_CASE("cuda: global average pooling equals the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const auto& [n, image] : {std::pair<int64_t, RowShape>{1, {1, 1}}, {3, {49, 24}}, {2, {7, 2056}}, {5, {600, 8}}, {2, {13, 5}}}) {
      CAPTURE(image.c);
      Duel d(type, shift);
      const Both &x = d.input(numbers(1, n * image.size())), &y = d.output(n * image.c), &dy = d.input(numbers(2, n * image.c));
      d.ref.global_avg_pool_forward(*d.ref_exec, n, image, x.here, y.here);
      cuda::global_avg_pool_forward(n, image, x.there, y.there, d.stream);
      d.same("y", y, 64, 1);
      d.same_into("dx", n * image.size(), type, 1, 1, [&](IntoBoth dx) {
        d.ref.global_avg_pool_backward(*d.ref_exec, n, image, dy.here, dx.here);
        cuda::global_avg_pool_backward(n, image, dy.there, dx.there, d.stream);
      });
    }
  });
}

TEST_CASE("cuda: zero padding and copies of channels equal the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const PadShape& s : {PadShape{.n = 1, .h = 1, .w = 1, .c = 1},
                              {.n = 2, .h = 3, .w = 4, .c = 3, .bottom = 1, .right = 1},
                              {.n = 2, .h = 5, .w = 3, .c = 16, .top = 1, .bottom = 2, .left = 3},
                              {.n = 1, .h = 2, .w = 300, .c = 8, .top = 3, .right = 4}}) {
      CAPTURE(s.c);
      Duel d(type, shift);
      const Both &x = d.input(numbers(1, s.x_size())), &y = d.output(s.y_size()), &dy = d.input(numbers(2, s.y_size()));
      d.ref.zero_pad_forward(*d.ref_exec, s, x.here, y.here);
      cuda::zero_pad_forward(s, x.there, y.there, d.stream);
      d.same("y", y, Tolerance{});
      d.same_into("dx", s.x_size(), type, 1, 1, [&](IntoBoth dx) {
        d.ref.zero_pad_backward(*d.ref_exec, s, dy.here, dx.here);
        cuda::zero_pad_backward(s, dy.there, dx.there, d.stream);
      });
    }
    for (const ChannelCopy& s : {ChannelCopy{1, 1, 1, 0, 1, 0},
                                 {7, 3, 5, 1, 9, 4},
                                 {300, 32, 32, 0, 96, 64},
                                 {5, 64, 256, 128, 64, 0},
                                 {3, 8, 12, 4, 16, 8},
                                 {2, 2056, 2056, 0, 2064, 8}}) {
      CAPTURE(s.count);
      Duel d(type, shift);
      const Both& from = d.input(numbers(1, s.rows * s.from_width));
      for (const Accumulate how : {Accumulate::no, Accumulate::yes}) {  // the other channels must stay
        const Both& to = d.state(numbers(2, s.rows * s.to_width), type);
        d.ref.copy_channels(*d.ref_exec, s, from.here, {to.here, how});
        cuda::copy_channels(s, from.there, {to.there, how}, d.stream);
        d.same("to", to, how == Accumulate::no ? Tolerance{} : d.both_rounded(2, 1, type));
      }
    }
  });
}
