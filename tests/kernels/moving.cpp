#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("zero_pad puts the image into zeros and its gradient takes it out") {
  on_each_backend([](const Target& target) {
    for (const PadShape s : {PadShape{.n = 1, .h = 1, .w = 1, .c = 1, .top = 1, .bottom = 2, .left = 3, .right = 4}, {.n = 2, .h = 3, .w = 5, .c = 3, .bottom = 1, .right = 1},
                             {.n = 3, .h = 5, .w = 2, .c = 17, .top = 1, .bottom = 1, .left = 1, .right = 1}, {.n = 2, .h = 4, .w = 4, .c = 8}, {.n = 1, .h = 2, .w = 3, .c = 5, .left = 2}}) {
      CAPTURE(s.h);
      CAPTURE(s.w);
      CAPTURE(s.c);
      Trial t(target);
      const Guarded &x = t.input(numbers(1, s.x_size())), &dy = t.input(numbers(2, s.y_size())), &y = t.output(s.y_size());
      std::vector<double> want(size_t(s.y_size())), dx(size_t(s.x_size()));
      size_t i = 0;
      for (int64_t n = 0; n < s.n; ++n)
        for (int64_t h = 0; h < s.h; ++h)
          for (int64_t w = 0; w < s.w; ++w)
            for (int64_t c = 0; c < s.c; ++c, ++i) {
              const auto there = size_t(((n * (s.top + s.h + s.bottom) + s.top + h) * (s.left + s.w + s.right) + s.left + w) * s.c + c);
              want[there] = x.values[i];
              dx[i] = dy.values[there];
            }
      t.backend().zero_pad_forward(t.exec(), s, x, y);
      t.check("y", y, want, Tolerance{});
      t.check_into("dx", t.dtype(), dx, 1, 1, [&](Into d) { t.backend().zero_pad_backward(t.exec(), s, dy, d); });
    }
  });
}

TEST_CASE("copy_channels moves a range of channels and leaves the others alone") {
  on_each_backend([](const Target& target) {
    for (const ChannelCopy s : {ChannelCopy{.rows = 1, .count = 1, .from_width = 1, .to_width = 1}, {.rows = 5, .count = 3, .from_width = 3, .to_width = 10, .to = 7},
                                {.rows = 4, .count = 17, .from_width = 40, .from = 23, .to_width = 17}, {.rows = 9, .count = 32, .from_width = 64, .from = 16, .to_width = 33, .to = 1},
                                {.rows = 0, .count = 2, .from_width = 2, .to_width = 3}})
      for (const Accumulate how : {Accumulate::no, Accumulate::yes}) {
        CAPTURE(s.rows);
        CAPTURE(s.count);
        CAPTURE(int(how));
        Trial t(target);
        const Guarded &from = t.input(numbers(1, s.rows * s.from_width)), &to = t.state(numbers(2, s.rows * s.to_width), t.dtype());
        std::vector<double> want = to.values;
        for (int64_t row = 0; row < s.rows; ++row)
          for (int64_t i = 0; i < s.count; ++i) {
            double& v = want[size_t(row * s.to_width + s.to + i)];
            v = from.values[size_t(row * s.from_width + s.from + i)] + (how == Accumulate::yes ? v : 0);
          }
        t.backend().copy_channels(t.exec(), s, from, {to, how});
        t.check("to", to, want, 2, 1);
      }
  });
}
