#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr DropoutShape kDropout{.rows = 5, .c = 37, .rate = 0.3f, .seed = 0x123456789abcdef, .layer = 3};
constexpr uint32_t kEpoch = 11;

}  // namespace

// The survivors are those of the formula, on every device alike; a survivor is one product, rounded once.
TEST_CASE("dropout keeps the elements whose random number reaches the rate") {
  on_each_backend([](const Target& target) {
    for (const float rate : {0.f, 0.25f, 0.3f, 0.5f, 0.9f}) {
      CAPTURE(rate);
      DropoutShape s = kDropout;
      s.rate = rate;
      Trial t(target);
      const Guarded &x = t.input(numbers(1, s.rows * s.c)), &samples = t.input({7, 0, 5231, 7, 2147483647}, DType::int32),
                    &epoch = t.input({kEpoch}, DType::int32);
      const float factor = 1 / (1 - rate);
      std::vector<double> want = x.values;
      for (size_t i = 0; i < want.size(); ++i) {
        const auto sample = uint32_t(samples.values[i / size_t(s.c)]), element = uint32_t(i % size_t(s.c));
        const Philox4 word = philox(s.seed, {{4u << 24 | s.layer, kEpoch, sample, element / 4}});
        const bool dropped = double(word.v[element % 4] >> 8) < double(rate) * 0x1p24;
        want[i] = dropped ? 0 : x.values[i] * double(factor);
      }
      t.check_into("y", t.dtype(), want, 1, 1, [&](Into y) { t.backend().dropout(t.exec(), s, x, samples, epoch, y); });
    }
  });
}

TEST_CASE("dropout keeps an element whose random number is the rate itself") {
  on_each_backend([](const Target& target) {
    DropoutShape s{.rows = 1, .c = 8, .seed = 3, .layer = 1};
    for (uint32_t i = 0; i < 8; ++i) {
      s.rate = random_unit(s.seed, Purpose::dropout, s.layer, 0, 9, i);
      Trial t(target);
      const Guarded& y = t.output(8);
      t.backend().dropout(t.exec(), s, t.input(std::vector<double>(8, 1)), t.input({9}, DType::int32), t.input({0}, DType::int32), {y});
      CHECK(t.read(y)[i] != 0);
    }
  });
}

TEST_CASE("dropout of a sample does not depend on its place in the batch") {
  on_each_backend([](const Target& target) {
    Trial t(target);
    const std::vector<double> ones(size_t(kDropout.rows * kDropout.c), 1);
    const Guarded &x = t.input(ones), &there = t.input({1, 2, 3, 4, 5}, DType::int32), &back = t.input({5, 4, 3, 2, 1}, DType::int32);
    const Guarded &a = t.output(x.buffer.size), &b = t.output(x.buffer.size), &epoch = t.input({kEpoch}, DType::int32);
    t.backend().dropout(t.exec(), kDropout, x, there, epoch, {a});
    t.backend().dropout(t.exec(), kDropout, x, back, epoch, {b});
    const std::vector<double> first = t.read(a), second = t.read(b);
    const auto row = [&](const std::vector<double>& v, int64_t i) {
      return std::vector<double>(v.begin() + i * kDropout.c, v.begin() + (i + 1) * kDropout.c);
    };
    for (int64_t i = 0; i < kDropout.rows; ++i) CHECK(row(first, i) == row(second, kDropout.rows - 1 - i));
    CHECK(row(first, 0) != row(first, 1));
  });
}

TEST_CASE("random_uniform spreads its numbers over the range by formula") {
  on_each_backend([](const Target& target) {
    Trial t(target);
    const int64_t n = 20003;
    const Guarded& y = t.output(n);
    t.backend().random_uniform(t.exec(), 42, 5, -0.5, 1.5, y);
    std::vector<double> want;
    for (int64_t i = 0; i < n; ++i) {
      const Philox4 word = philox(42, {{1u << 24 | 5, 0, 0, uint32_t(i / 4)}});
      want.push_back(-0.5 + 2 * double(word.v[i % 4] >> 8) * 0x1p-24);
    }
    t.check("y", y, want, 2, 2);
    double sum = 0, squares = 0;
    for (const double v : t.read(y)) {
      CHECK((v >= -0.5 && v <= 1.5));
      sum += v, squares += (v - 0.5) * (v - 0.5);
    }
    CHECK(close(sum / double(n), 0.5, 0.02, 0));          // five standard errors of the mean: 5·2/√(12·n)
    CHECK(close(squares / double(n), 1 / 3., 0.011, 0));  // five of the variance
  });
}
