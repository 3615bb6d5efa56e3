#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr Act kActs[] = {Act::none, Act::relu, Act::relu6};
constexpr int64_t kSizes[] = {1, 3, 17, 64, 257, 20011};  // beside the widths of vectors, and more than one block

double act_of(Act act, double v) { return act == Act::none ? v : act == Act::relu ? std::max(v, 0.) : std::min(std::max(v, 0.), 6.); }

// Numbers in [−3, 9) with the ends of the flat parts among them.
std::vector<double> around_kinks(uint32_t key, int64_t n) {
  std::vector<double> v = numbers(key, n, -3, 9);
  for (size_t i = 0; i < v.size(); i += 5) v[i] = i % 2 ? 0 : 6;
  return v;
}

}  // namespace

TEST_CASE("activations cut and pass on gradients between their kinks alone") {
  on_each_backend([](const Target& target) {
    for (const Act act : kActs)
      for (const int64_t n : kSizes) {
        CAPTURE(int(act));
        CAPTURE(n);
        Trial t(target);
        const Guarded &x = t.input(around_kinks(1, n)), &dy = t.input(numbers(2, n)), &y = t.output(n);
        std::vector<double> want = x.values, dx = dy.values;
        for (size_t i = 0; i < want.size(); ++i) {
          want[i] = act_of(act, x.values[i]);
          if (act != Act::none && x.values[i] <= 0) dx[i] = 0;
          if (act == Act::relu6 && x.values[i] >= 6) dx[i] = 0;
        }
        t.backend().act_forward(t.exec(), act, x, y);
        t.check("y", y, want, Tolerance{});
        const Guarded& kept = t.input(want);
        t.check_into("dx", t.dtype(), dx, 1, 1, [&](Into d) { t.backend().act_backward(t.exec(), act, kept, dy, d); });
        const Guarded& same = t.state(dy.values, t.dtype());
        t.backend().act_backward(t.exec(), act, kept, same, {same});
        t.check("dx in the place of dy", same, dx, Tolerance{});
      }
  });
}

TEST_CASE("add_act and add_scaled") {
  on_each_backend([](const Target& target) {
    for (const int64_t n : kSizes) {
      CAPTURE(n);
      Trial t(target);
      const Guarded &a = t.input(numbers(1, n, -3, 5)), &b = t.input(numbers(2, n, -3, 5));
      for (const Act act : kActs) {
        CAPTURE(int(act));
        std::vector<double> want = a.values;
        for (size_t i = 0; i < want.size(); ++i) want[i] = act_of(act, a.values[i] + b.values[i]);
        const Guarded& y = t.output(n);
        t.backend().add_act(t.exec(), act, a, b, y);
        t.check("act(a + b)", y, want);
      }
      for (const DType type : {t.dtype(), t.wide()})  // a gradient may be summed in a wider type
        for (const double factor : {1.0, -0.125, 1e-3}) {
          CAPTURE(factor);
          const Guarded& y = t.state(numbers(3, n), type);
          std::vector<double> want = y.values;
          for (size_t i = 0; i < want.size(); ++i) want[i] += factor * a.values[i];
          t.backend().add_scaled(t.exec(), factor, a, y);
          t.check("y + factor x", y, want, 2, 6);
        }
    }
  });
}

TEST_CASE("scale_shift_act reads the first channels of wider rows") {
  on_each_backend([](const Target& target) {
    for (const ScaleShiftShape shape : {ScaleShiftShape{1, 1, 1}, {5, 3, 3}, {7, 17, 33}, {3, 64, 256}, {12, 32, 33}})
      for (const Act act : kActs) {
        ScaleShiftShape s = shape;
        s.act = act;
        CAPTURE(s.c);
        CAPTURE(s.x_width);
        CAPTURE(int(act));
        Trial t(target);
        const Guarded &x = t.input(numbers(1, s.rows * s.x_width)), &scale = t.input(numbers(2, s.c, -4, 4), t.wide()),
                      &shift = t.input(numbers(3, s.c, -1, 5), t.wide()), &y = t.output(s.rows * s.c);
        std::vector<double> want(size_t(s.rows * s.c));
        for (int64_t row = 0; row < s.rows; ++row)
          for (int64_t c = 0; c < s.c; ++c)
            want[size_t(row * s.c + c)] =
                act_of(act, x.values[size_t(row * s.x_width + c)] * scale.values[size_t(c)] + shift.values[size_t(c)]);
        t.backend().scale_shift_act(t.exec(), s, x, scale, shift, y);
        t.check("y", y, want, 2, 8);
      }
  });
}

TEST_CASE("cast rounds to the type and keeps what fits") {
  on_each_backend([](const Target& target) {
    for (const DType to : {DType::float32, DType::float64, DType::float16, DType::bfloat16, DType::uint8, DType::int32}) {
      if (!target.backend->supports(to)) continue;
      CAPTURE(str(to));
      Trial t(target);
      const Guarded &x = t.input(numbers(1, 259, 0, 250)), &y = t.output(259, to);
      std::vector<double> want = x.values;
      for (double& v : want)
        if (!is_floating(to)) v = std::trunc(v);
      t.backend().cast(t.exec(), x, y);
      t.check("y", y, rounded(want, to), Tolerance{});
    }
    for (const DType from : {DType::uint8, DType::int32}) {
      CAPTURE(str(from));
      Trial t(target);
      std::vector<double> whole;
      for (int i = 0; i < 256; ++i) whole.push_back(i);
      const Guarded &x = t.input(whole, from), &y = t.output(256);
      t.backend().cast(t.exec(), x, y);
      t.check("y", y, whole, Tolerance{});
    }
  });
}

TEST_CASE("cast to integers is cut to their range") {
  on_the_reference([](const Target& target) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    Trial t(target);
    const Guarded& x = t.input({-1, -0.9, 255.5, 300, 60000, nan});
    const Guarded &bytes = t.output(6, DType::uint8), &words = t.output(6, DType::int32);
    t.backend().cast(t.exec(), x, bytes);
    t.check("uint8", bytes, {0, 0, 255, 255, 255, 0}, Tolerance{});
    t.backend().cast(t.exec(), x, words);
    std::vector<double> want;
    for (const double v : x.values) want.push_back(std::isnan(v) ? 0 : std::trunc(v));
    t.check("int32", words, want, Tolerance{});
  });
}

TEST_CASE("fill") {
  on_each_backend([](const Target& target) {
    for (const DType type : {target.dtype, DType::int32, DType::uint8})
      for (const int64_t n : kSizes) {
        Trial t(target);
        const Guarded& y = t.output(n, type);
        t.backend().fill(t.exec(), 7, y);
        t.check("y", y, std::vector<double>(size_t(n), 7), Tolerance{});
      }
    Trial t(target);
    const Guarded& y = t.output(3);
    t.backend().fill(t.exec(), 0.1, y);
    t.check("a tenth", y, rounded({0.1, 0.1, 0.1}, target.dtype), Tolerance{});
    t.backend().fill(t.exec(), 0.1, Buffer{nullptr, target.dtype, 0});  // nothing to fill, nothing happens
  });
}

TEST_CASE("copy upload and download move bytes") {
  on_each_backend([](const Target& target) {
    for (const DType type : {target.dtype, DType::int32, DType::uint8}) {
      Trial t(target);
      const Guarded &x = t.input(numbers(1, 1001, 0, 200), type), &y = t.output(1001, type);
      t.backend().copy(t.exec(), x, y);
      t.check("y", y, x.values, Tolerance{});
      CHECK_THROWS_AS(t.backend().copy(t.exec(), x, t.output(1000, type)), Error);
    }
  });
}

TEST_CASE("a NaN goes through every activation") {
  on_the_reference([](const Target& target) {
    for (const Act act : kActs) {
      Trial t(target);
      const double nan = std::numeric_limits<double>::quiet_NaN();
      const Guarded &x = t.input({nan, 1}), &zero = t.input({0, 0}), &y = t.output(2), &sum = t.output(2);
      t.backend().act_forward(t.exec(), act, x, y);
      t.backend().add_act(t.exec(), act, zero, x, sum);
      for (const Guarded* g : {&y, &sum}) {
        CHECK(std::isnan(t.read(*g)[0]));
        CHECK(t.read(*g)[1] == 1);
      }
    }
  });
}
