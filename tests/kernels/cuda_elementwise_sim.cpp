// The kernels that make one output element from one element of each input, and sums over rows, against the reference.
#include "tests/kernels/cuda_sim.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr Act kActs[] = {Act::none, Act::relu, Act::relu6};
constexpr int64_t kSizes[] = {1, 7, 64, 257, 4099};  // beside the widths of vectors and blocks
constexpr RowShape kRows[] = {{1, 1},  {3, 5},    {7, 33},   {70, 8},
                              {5, 64}, {2, 2056}, {300, 24}, {1, 257}};  // {rows, c}; more than a block, more than a part

// Numbers in [−3, 9) with the ends of the flat parts among them.
std::vector<double> around_kinks(uint32_t key, int64_t n) {
  std::vector<double> v = numbers(key, n, -3, 9);
  for (size_t i = 0; i < v.size(); i += 5) v[i] = i % 2 ? 0 : 6;
  return v;
}

}  // namespace

TEST_CASE("cuda: activations and sums equal the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const int64_t n : kSizes) {
      CAPTURE(n);
      for (const Act act : kActs) {
        CAPTURE(int(act));
        Duel d(type, shift);
        const Both &x = d.input(around_kinks(1, n)), &b = d.input(around_kinks(2, n)), &y = d.output(n), &sum = d.output(n);
        d.ref.act_forward(*d.ref_exec, act, x.here, y.here);
        cuda::act_forward(act, x.there, y.there, d.stream);
        d.same("act(x)", y, Tolerance{});
        d.ref.add_act(*d.ref_exec, act, x.here, b.here, sum.here);
        cuda::add_act(act, x.there, b.there, sum.there, d.stream);
        d.same("act(a + b)", sum);
        d.same_into("dx", n, type, 1, 1, [&](IntoBoth dx) {
          d.ref.act_backward(*d.ref_exec, act, y.here, b.here, dx.here);
          cuda::act_backward(act, y.there, b.there, dx.there, d.stream);
        });
      }
      for (const DType to : {type, DType::float32}) {
        Duel d(type, shift);
        const Both &x = d.input(numbers(1, n)), &y = d.state(numbers(2, n), to);
        d.ref.add_scaled(*d.ref_exec, -0.125, x.here, y.here);
        cuda::add_scaled(-0.125, x.there, y.there, d.stream);
        d.same("y + factor · x", y, 2, 2);
      }
    }
  });
}

TEST_CASE("cuda: a NaN goes through every activation") {
  in_each_schedule([](DType type, bool shift) {
    for (const Act act : kActs) {
      Duel d(type, shift);
      const Both &x = d.input({std::numeric_limits<double>::quiet_NaN(), 1}), &y = d.output(2);
      cuda::act_forward(act, x.there, y.there, d.stream);
      CHECK(std::isnan(d.read(y)[0]));
      CHECK(d.read(y)[1] == 1);
    }
  });
}

TEST_CASE("cuda: casts equal the reference, out of range and NaN included") {
  in_each_schedule([](DType type, bool shift) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const DType to : {DType::float32, DType::float16, DType::bfloat16, DType::uint8, DType::int32})
      for (const DType from : {type, DType::int32, DType::uint8}) {
        CAPTURE(str(from));
        CAPTURE(str(to));
        Duel d(type, shift);
        std::vector<double> values = numbers(1, 261, 0, 250);
        if (from == type) values.insert(values.begin(), {-1, -0.9, 255.5, 300, 60000, -60000, 0x1p-24, 3e-8, nan, 7.5});
        if (from == DType::int32) values.insert(values.begin(), {-5, 256, 2147483647, -2147483648., 16777217, 65519});
        const Both &x = d.input(values, from), &y = d.output(int64_t(values.size()), to);
        d.ref.cast(*d.ref_exec, x.here, y.here);
        cuda::cast(x.there, y.there, d.stream);
        std::vector<double> got = d.read(y);
        for (size_t i = 0; i < got.size(); ++i)
          if (std::isnan(values[i]) && is_floating(to) && is_floating(from)) CHECK(std::isnan(got[i]));
        if (!(is_floating(to) && from == type)) d.same("y", y, Tolerance{});
        else {
          Duel finite(type, shift);
          values.erase(values.begin() + 8);
          const Both &a = finite.input(values, from), &b = finite.output(int64_t(values.size()), to);
          finite.ref.cast(*finite.ref_exec, a.here, b.here);
          cuda::cast(a.there, b.there, finite.stream);
          finite.same("y", b, Tolerance{});
        }
      }
  });
}

TEST_CASE("cuda: fill, random_uniform and transpose") {
  in_each_schedule([](DType type, bool shift) {
    for (const int64_t n : kSizes) {
      CAPTURE(n);
      Duel d(type, shift);
      for (const DType to : {type, DType::int32, DType::uint8}) {
        const Both& y = d.output(n, to);
        d.ref.fill(*d.ref_exec, 7.7, y.here);
        cuda::fill(7.7, y.there, d.stream);
        d.same("fill", y, Tolerance{});
      }
      const Both& y = d.output(n);
      d.ref.random_uniform(*d.ref_exec, 99, 5, -0.3, 0.7, y.here);
      cuda::random_uniform(99, 5, -0.3, 0.7, y.there, d.stream);
      d.same("random_uniform", y, Tolerance{});
    }
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{1, 1}, {33, 31}, {32, 64}, {70, 3}}) {
      Duel d(type, shift);
      const Both &x = d.input(numbers(1, rows * columns)), &scale = d.input(numbers(2, columns), DType::float32);
      for (const DType to : {type, DType::float32})
        d.same_into("transpose", rows * columns, to, 2, 2, [&](IntoBoth out) {
          std::vector<double> want(size_t(rows * columns));
          for (int64_t i = 0; i < rows; ++i)
            for (int64_t j = 0; j < columns; ++j) want[size_t(j * rows + i)] = x.values[size_t(i * columns + j)] * scale.values[size_t(j)];
          visit_floating(to, [&]<class T>(T) {
            for (size_t i = 0; i < want.size(); ++i) {
              T& here = out.here.buffer.as<T>()[i];
              here = T(float(want[i] + (out.here.how == Accumulate::yes ? double(here) : 0)));
            }
          });
          cuda::transpose(rows, columns, x.there, scale.there, out.there, d.stream);
        });
    }
  });
}

TEST_CASE("cuda: bias, scale and shift, column sums") {
  in_each_schedule([](DType type, bool shift) {
    for (const RowShape& s : kRows) {
      CAPTURE(s.rows);
      CAPTURE(s.c);
      Duel d(type, shift);
      const Both &x = d.input(numbers(1, s.size(), -4, 8)), &b = d.input(numbers(2, s.c), DType::float32),
                 &residual = d.input(numbers(3, s.size()));
      for (const Act act : kActs) {
        const Both &y = d.output(s.size()), &with = d.output(s.size()), &sum = d.output(s.size());
        d.ref.bias_act_forward(*d.ref_exec, s, act, x.here, b.here, y.here);
        cuda::bias_act(s, act, x.there, b.there, {}, y.there, d.stream);
        d.same("act(x + b)", y);
        d.ref.bias_act_forward(*d.ref_exec, s, Act::none, x.here, b.here, sum.here);
        d.ref.add_act(*d.ref_exec, act, sum.here, residual.here, with.here);
        cuda::bias_act(s, act, x.there, b.there, residual.there, with.there, d.stream);
        d.same("act(x + b + residual)", with,
               tolerance(Target{nullptr, type, false}, 2, type == DType::float32 ? 8 : 0x1p24 * 8 * rounding_of(type), type));
        cuda::bias_act(s, act, x.there, b.there, {}, sum.there, d.stream);
      }
      d.same_into("db", s.c, DType::float32, s.rows, 8, [&](IntoBoth db) {
        d.ref.bias_backward(*d.ref_exec, s, x.here, db.here);
        cuda::bias_backward(s, x.there, db.there, d.exec, d.stream);
      });
    }
    for (ScaleShiftShape s : {ScaleShiftShape{1, 1, 1}, {5, 3, 3}, {7, 17, 33}, {30, 64, 256}, {12, 32, 33}, {2, 2056, 2064}})
      for (const Act act : kActs) {
        s.act = act;
        CAPTURE(s.c);
        Duel d(type, shift);
        const Both &x = d.input(numbers(1, s.rows * s.x_width)), &scale = d.input(numbers(2, s.c, -4, 4), DType::float32),
                   &offset = d.input(numbers(3, s.c, -1, 5), DType::float32), &y = d.output(s.rows * s.c);
        d.ref.scale_shift_act(*d.ref_exec, s, x.here, scale.here, offset.here, y.here);
        cuda::scale_shift_act(s, x.there, scale.there, offset.there, y.there, d.stream);
        d.same("y", y, 2, 8);
      }
  });
}

TEST_CASE("cuda: dropout drops what the reference drops") {
  in_each_schedule([](DType type, bool shift) {
    for (DropoutShape s : {DropoutShape{1, 1}, {3, 4}, {5, 7}, {9, 128}, {2, 258}}) {
      s.rate = 0.3f, s.seed = 0x123456789abull, s.layer = 3;
      CAPTURE(s.c);
      Duel d(type, shift);
      std::vector<double> places = numbers(4, s.rows, 0, 100000);
      for (double& p : places) p = std::floor(p);
      const Both &x = d.input(numbers(1, s.rows * s.c, 1, 2)), &samples = d.input(places, DType::int32),
                 &epoch = d.input({9}, DType::int32);
      d.same_into("y", s.rows * s.c, type, 1, 2, [&](IntoBoth y) {
        d.ref.dropout(*d.ref_exec, s, x.here, samples.here, epoch.here, y.here);
        cuda::dropout(s, x.there, samples.there, epoch.there, y.there, d.stream);
      });
    }
  });
}

TEST_CASE("cuda: nothing to do, nothing happens") {
  Duel d(DType::float32, false);
  const Buffer none{nullptr, DType::float32, 0}, label{nullptr, DType::int32, 0};
  cuda::act_forward(Act::relu, none, none, d.stream);
  cuda::act_backward(Act::relu, none, none, {none}, d.stream);
  cuda::add_act(Act::none, none, none, none, d.stream);
  cuda::add_scaled(1, none, none, d.stream);
  cuda::cast(none, none, d.stream);
  cuda::fill(1, none, d.stream);
  cuda::random_uniform(1, 1, 0, 1, none, d.stream);
  cuda::transpose(0, 3, none, none, {none}, d.stream);
  cuda::bias_act({0, 3}, Act::none, none, none, none, none, d.stream);
  cuda::scale_shift_act({0, 3, 3}, none, none, none, none, d.stream);
  cuda::dropout({0, 3}, none, label, label, {none}, d.stream);
  cuda::softmax({0, 2}, none, none, d.stream);
  CHECK(cudaGetLastError() == cudaSuccess);
  const Both& db = d.output(3, DType::float32);  // the sum of no rows is zero
  cuda::bias_backward({0, 3}, none, {db.there}, d.exec, d.stream);
  CHECK(d.read(db) == std::vector<double>(3, 0.0));
}
