#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Case {
  const char* what;
  PoolShape s;
};

const Case kCases[] = {
    {"one number", {.n = 1, .h = 1, .w = 1, .c = 1, .window = 1, .stride = 1}},
    {"2x2, even size", {.n = 2, .h = 6, .w = 4, .c = 17, .window = 2, .stride = 2}},
    {"2x2, odd size: the last row and column fall out", {.n = 1, .h = 5, .w = 7, .c = 3, .window = 2, .stride = 2}},
    {"3x3 stride 2, overlapping", {.n = 3, .h = 7, .w = 9, .c = 5, .window = 3, .stride = 2}},
    {"3x3 stride 2 with padding", {.n = 1, .h = 8, .w = 5, .c = 33, .window = 3, .stride = 2, .pad = 1}},
    {"3x3 stride 1 with padding", {.n = 2, .h = 4, .w = 3, .c = 16, .window = 3, .stride = 1, .pad = 1}},
    {"window larger than the image", {.n = 1, .h = 1, .w = 2, .c = 4, .window = 3, .stride = 1, .pad = 1}},
    {"stride larger than the window", {.n = 1, .h = 8, .w = 8, .c = 1, .window = 2, .stride = 3}},
    {"5x5 with padding 2", {.n = 1, .h = 6, .w = 7, .c = 2, .window = 5, .stride = 1, .pad = 2}},
};

// Calls f(y index, x indices): the elements of x in each window, row by row.
template <class F>
void each_window(const PoolShape& s, F&& f) {
  for (int64_t i = 0; i < s.y_size(); ++i) {
    const int64_t c = i % s.c, q = i / s.c % s.q(), p = i / s.c / s.q() % s.p(), n = i / s.c / s.q() / s.p();
    std::vector<size_t> members;
    for (int64_t h = 0; h < s.h; ++h)
      for (int64_t w = 0; w < s.w; ++w) {
        const int64_t r = h + s.pad - p * s.stride, t = w + s.pad - q * s.stride;
        if (r >= 0 && r < s.window && t >= 0 && t < s.window) members.push_back(size_t(((n * s.h + h) * s.w + w) * s.c + c));
      }
    f(size_t(i), members);
  }
}

// Whole numbers from `low` to low + 2: every window has several maxima.
std::vector<double> with_ties(int64_t n, double low) {
  std::vector<double> v = numbers(1, n, 0, 3);
  for (double& x : v) x = low + std::floor(x);
  return v;
}

}  // namespace

TEST_CASE("max_pool takes the largest and gives the gradient to the first of them") {
  on_each_backend([](const Target& target) {
    for (const auto& [what, s] : kCases)
      for (const double low : {0., -5.}) {  // negative everywhere: padding must not win
        CAPTURE(what);
        CAPTURE(low);
        Trial t(target);
        const Guarded &x = t.input(with_ties(s.x_size(), low)), &dy = t.input(numbers(2, s.y_size()));
        std::vector<double> y(size_t(s.y_size())), dx(size_t(s.x_size()));
        each_window(s, [&](size_t i, const std::vector<size_t>& members) {
          const size_t best =
              *std::max_element(members.begin(), members.end(), [&](size_t a, size_t b) { return x.values[a] < x.values[b]; });
          y[i] = x.values[best];
          dx[best] += dy.values[i];
        });
        const Guarded &got = t.output(s.y_size()), &alone = t.output(s.y_size()), &argmax = t.output(s.y_size(), DType::uint8);
        t.backend().max_pool_forward(t.exec(), s, x, got, argmax);
        t.check("y", got, y, Tolerance{});
        t.check_into("dx", t.dtype(), dx, s.window * s.window, 1,
                     [&](Into d) { t.backend().max_pool_backward(t.exec(), s, argmax, dy, d); });
        t.backend().max_pool_forward(t.exec(), s, x, alone);
        t.check("y without argmax", alone, y, Tolerance{});
      }
  });
}

TEST_CASE("max_pool stops the gradient where the activation before it is flat") {
  on_each_backend([](const Target& target) {
    for (const Act act : {Act::relu, Act::relu6}) {
      size_t stopped = 0;
      for (const auto& [what, s] : kCases) {
        CAPTURE(what);
        Trial t(target);
        std::vector<double> values = numbers(1, s.x_size(), -12, act == Act::relu ? 2 : 12);
        for (double& v : values) v = std::clamp(std::round(v), 0., act == Act::relu6 ? 6. : 12.);  // as an activation leaves them
        const Guarded &x = t.input(values), &dy = t.input(numbers(2, s.y_size())), &y = t.output(s.y_size()),
                      &argmax = t.output(s.y_size(), DType::uint8);
        std::vector<double> dx(size_t(s.x_size()));
        each_window(s, [&](size_t i, const std::vector<size_t>& members) {
          const size_t best = *std::max_element(members.begin(), members.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
          if (values[best] > 0 && (act == Act::relu || values[best] < 6)) dx[best] += dy.values[i];
          else ++stopped;
        });
        t.backend().max_pool_forward(t.exec(), s, x, y, argmax, act);
        t.check_into("dx", t.dtype(), dx, s.window * s.window, 1,
                     [&](Into d) { t.backend().max_pool_backward(t.exec(), s, argmax, dy, d); });
      }
      CHECK(stopped > 20);
    }
  });
}

// Tolerance: a mean of window² numbers.
TEST_CASE("avg_pool leaves the padding out of the mean") {
  on_each_backend([](const Target& target) {
    for (const auto& [what, s] : kCases) {
      CAPTURE(what);
      Trial t(target);
      const Guarded &x = t.input(numbers(1, s.x_size())), &dy = t.input(numbers(2, s.y_size()));
      std::vector<double> y(size_t(s.y_size())), dx(size_t(s.x_size()));
      each_window(s, [&](size_t i, const std::vector<size_t>& members) {
        for (const size_t j : members) {
          y[i] += x.values[j] / double(members.size());
          dx[j] += dy.values[i] / double(members.size());
        }
      });
      const Guarded& got = t.output(s.y_size());
      t.backend().avg_pool_forward(t.exec(), s, x, got);
      t.check("y", got, y, s.window * s.window);
      t.check_into("dx", t.dtype(), dx, s.window * s.window, 1, [&](Into d) { t.backend().avg_pool_backward(t.exec(), s, dy, d); });
    }
  });
}

// Keras: ones stay ones, and the corner of 1…16 in a 4×4 image is the mean of 1, 2, 5 and 6.
TEST_CASE("avg_pool of a known image") {
  on_each_backend([](const Target& target) {
    const PoolShape s{.n = 1, .h = 4, .w = 4, .c = 1, .window = 3, .stride = 1, .pad = 1};
    Trial t(target);
    std::vector<double> image;
    for (int i = 1; i <= 16; ++i) image.push_back(i);
    const Guarded &y = t.output(16), &ones = t.output(16);
    t.backend().avg_pool_forward(t.exec(), s, t.input(image), y);
    CHECK(t.read(y)[0] == 3.5);
    CHECK(t.read(y)[5] == 6);
    CHECK(t.read(y)[15] == 13.5);
    t.backend().avg_pool_forward(t.exec(), s, t.input(std::vector<double>(16, 1)), ones);
    t.check("ones", ones, std::vector<double>(16, 1), 9);
  });
}

// Tolerance: a mean of `rows` numbers.
TEST_CASE("global_avg_pool is the mean of each image and channel") {
  on_each_backend([](const Target& target) {
    for (const auto& [n, image] : {std::pair<int64_t, RowShape>{1, {1, 1}}, {2, {49, 17}}, {3, {35, 64}}, {1, {12, 3}}, {4, {1, 130}}}) {
      CAPTURE(n);
      CAPTURE(image.rows);
      CAPTURE(image.c);
      Trial t(target);
      const Guarded &x = t.input(numbers(1, n * image.size())), &dy = t.input(numbers(2, n * image.c)), &y = t.output(n * image.c);
      std::vector<double> want(size_t(n * image.c)), dx(size_t(n * image.size()));
      for (int64_t i = 0; i < n * image.size(); ++i) {
        const auto to = size_t(i / image.size() * image.c + i % image.c);
        want[to] += x.values[size_t(i)] / double(image.rows);
        dx[size_t(i)] = dy.values[to] / double(image.rows);
      }
      t.backend().global_avg_pool_forward(t.exec(), n, image, x, y);
      t.check("y", y, want, image.rows);
      t.check_into("dx", t.dtype(), dx, 1, 1,
                   [&, shape = image, images = n](Into d) { t.backend().global_avg_pool_backward(t.exec(), images, shape, dy, d); });
    }
  });
}

TEST_CASE("a NaN in a window is its maximum") {
  on_the_reference([](const Target& target) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    const PoolShape s{.n = 1, .h = 2, .w = 2, .c = 1};
    for (size_t place = 0; place < 4; ++place) {
      Trial t(target);
      std::vector<double> image{1, 2, 3, 4};
      image[place] = nan;
      const Guarded &x = t.input(image), &y = t.output(1), &argmax = t.output(1, DType::uint8), &dx = t.output(4);
      t.backend().max_pool_forward(t.exec(), s, x, y, argmax);
      CHECK(std::isnan(t.read(y)[0]));
      t.backend().max_pool_backward(t.exec(), s, argmax, t.input({1}), {dx});
      CHECK(t.read(dx)[place] == 1);
    }
  });
}
