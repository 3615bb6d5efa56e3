#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

const DenseShape kShapes[] = {{1, 1, 1}, {1, 17, 3}, {3, 1, 17}, {2, 5, 1}, {4, 256, 128}, {5, 33, 2}, {32, 70, 19}, {1, 1280, 256}};
const RowShape kRows[] = {{1, 1}, {1, 17}, {7, 1}, {5, 3}, {33, 19}, {6, 160}};

}  // namespace

// Tolerance: a sum of c, k or m products of numbers below 1.
TEST_CASE("dense forward and both gradients are matrix products") {
  on_each_backend([](const Target& target) {
    for (const DenseShape& s : kShapes) {
      CAPTURE(s.m);
      CAPTURE(s.c);
      CAPTURE(s.k);
      Trial t(target);
      const Guarded &x = t.input(numbers(1, s.m * s.c)), &w = t.input(numbers(2, s.c * s.k)), &dy = t.input(numbers(3, s.m * s.k));
      std::vector<double> y(size_t(s.m * s.k)), dx(size_t(s.m * s.c)), dw(size_t(s.c * s.k));
      for (int64_t c = 0; c < s.c; ++c)
        for (int64_t k = 0; k < s.k; ++k)
          for (int64_t m = 0; m < s.m; ++m) {
            const size_t xi = size_t(m * s.c + c), wi = size_t(c * s.k + k), yi = size_t(m * s.k + k);
            y[yi] += x.values[xi] * w.values[wi];
            dx[xi] += dy.values[yi] * w.values[wi];
            dw[wi] += dy.values[yi] * x.values[xi];
          }
      const Guarded& got = t.output(s.m * s.k);
      t.backend().dense_forward(t.exec(), s, x, w, got);
      t.check("y", got, y, s.c);
      t.check_into("dx", t.dtype(), dx, s.k, 1, [&](Into d) { t.backend().dense_backward_data(t.exec(), s, dy, w, d); });
      t.check_into("dw", t.dtype(), dw, s.m, 1, [&](Into d) { t.backend().dense_backward_filter(t.exec(), s, x, dy, d); });
      if (t.wide() != t.dtype()) t.check_into("float32 dw", t.wide(), dw, s.m, 1, [&](Into d) { t.backend().dense_backward_filter(t.exec(), s, x, dy, d); });
    }
  });
}

// Tolerance: a sum of two numbers below 8.
TEST_CASE("bias_act adds the bias of the column and also works in place") {
  on_each_backend([](const Target& target) {
    for (const RowShape& s : kRows)
      for (const Act act : {Act::none, Act::relu, Act::relu6}) {
        CAPTURE(s.rows);
        CAPTURE(s.c);
        CAPTURE(int(act));
        Trial t(target);
        const std::vector<double> values = numbers(1, s.size(), -3, 8);
        const Guarded &x = t.input(values), &b = t.input(numbers(2, s.c), t.wide()), &y = t.output(s.size()), &same = t.state(values, t.dtype());
        std::vector<double> want = x.values;
        for (size_t i = 0; i < want.size(); ++i) {
          want[i] += b.values[i % size_t(s.c)];
          if (act != Act::none && want[i] < 0) want[i] = 0;
          if (act == Act::relu6 && want[i] > 6) want[i] = 6;
        }
        t.backend().bias_act_forward(t.exec(), s, act, x, b, y);
        t.check("y", y, want, 2, 8);
        t.backend().bias_act_forward(t.exec(), s, act, same, b, same);
        t.check("y in the place of x", same, want, 2, 8);
      }
  });
}

// Tolerance: a sum of `rows` numbers below 1.
TEST_CASE("bias_backward sums each column") {
  on_each_backend([](const Target& target) {
    for (const RowShape& s : kRows) {
      CAPTURE(s.rows);
      CAPTURE(s.c);
      Trial t(target);
      const Guarded& dy = t.input(numbers(1, s.size()));
      std::vector<double> want(size_t(s.c));
      for (size_t i = 0; i < dy.values.size(); ++i) want[i % size_t(s.c)] += dy.values[i];
      t.check_into("db", t.wide(), want, s.rows, 1, [&](Into db) { t.backend().bias_backward(t.exec(), s, dy, db); });
    }
  });
}
