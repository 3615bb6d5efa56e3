#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Case {
  const char* what;
  DepthwiseShape s;
};

// Tolerance: a sum of r·s (or n·p·q) products of numbers below 1, see tolerance() in backends.hpp.
const Case kCases[] = {
    {"one number", {.n = 1, .h = 1, .w = 1, .c = 1, .r = 1, .s = 1}},
    {"window larger than the image", {.n = 2, .h = 1, .w = 1, .c = 5, .pad_h = 1, .pad_w = 1}},
    {"not square, odd channels", {.n = 2, .h = 5, .w = 7, .c = 17, .pad_h = 1, .pad_w = 1}},
    {"one channel", {.n = 3, .h = 6, .w = 4, .c = 1, .pad_h = 1, .pad_w = 1}},
    {"without padding", {.n = 1, .h = 5, .w = 4, .c = 3}},
    {"stride 2, odd size", {.n = 2, .h = 7, .w = 9, .c = 33, .stride = 2, .pad_h = 1, .pad_w = 1}},
    {"stride 2, even size, zeros at the end alone", {.n = 1, .h = 8, .w = 6, .c = 16, .stride = 2, .more_h = 1, .more_w = 1}},
    {"zeros at the end of the rows alone", {.n = 1, .h = 6, .w = 5, .c = 4, .stride = 2, .pad_w = 1, .more_h = 1}},
    {"stride 2 leaves the last row out", {.n = 1, .h = 6, .w = 8, .c = 3, .stride = 2}},
    {"5x5", {.n = 1, .h = 6, .w = 7, .c = 8, .r = 5, .s = 5, .pad_h = 2, .pad_w = 2}},
    {"1x3 with padding in columns alone", {.n = 1, .h = 4, .w = 5, .c = 6, .r = 1, .s = 3, .pad_w = 1}},
    {"stride larger than the window", {.n = 1, .h = 9, .w = 10, .c = 2, .r = 2, .s = 2, .stride = 3}},
    {"many channels", {.n = 1, .h = 7, .w = 7, .c = 160, .pad_h = 1, .pad_w = 1}},
};

// Calls f(x index, w index, y index) for every product of the convolution.
template <class F>
void each_product(const DepthwiseShape& s, F&& f) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t h = 0; h < s.h; ++h)
      for (int64_t w = 0; w < s.w; ++w)
        for (int64_t p = 0; p < s.p(); ++p)
          for (int64_t q = 0; q < s.q(); ++q) {
            const int64_t r = h + s.pad_h - p * s.stride, t = w + s.pad_w - q * s.stride;  // the weight between (h,w) and (p,q)
            if (r < 0 || r >= s.r || t < 0 || t >= s.s) continue;
            for (int64_t c = 0; c < s.c; ++c)
              f(size_t(((n * s.h + h) * s.w + w) * s.c + c), size_t((r * s.s + t) * s.c + c), size_t(((n * s.p() + p) * s.q() + q) * s.c + c));
          }
}

}  // namespace

TEST_CASE("depthwise forward and both gradients are sums over all products") {
  on_each_backend([](const Target& target) {
    for (const auto& [what, s] : kCases) {
      CAPTURE(what);
      Trial t(target);
      const Guarded &x = t.input(numbers(1, s.x_size())), &w = t.input(numbers(2, s.w_size())), &dy = t.input(numbers(3, s.y_size()));
      std::vector<double> y(size_t(s.y_size())), dx(size_t(s.x_size())), dw(size_t(s.w_size()));
      each_product(s, [&](size_t xi, size_t wi, size_t yi) {
        y[yi] += x.values[xi] * w.values[wi];
        dx[xi] += dy.values[yi] * w.values[wi];
        dw[wi] += dy.values[yi] * x.values[xi];
      });

      const Guarded& got = t.output(s.y_size());
      t.backend().depthwise_forward(t.exec(), s, x, w, got);
      t.check("y", got, y, s.r * s.s);
      t.check_into("dx", t.dtype(), dx, s.r * s.s, 1, [&](Into d) { t.backend().depthwise_backward_data(t.exec(), s, dy, w, d); });
      t.check_into("dw", t.dtype(), dw, s.n * s.p() * s.q(), 1, [&](Into d) { t.backend().depthwise_backward_filter(t.exec(), s, x, dy, d); });
      if (t.wide() != t.dtype())
        t.check_into("float32 dw", t.wide(), dw, s.n * s.p() * s.q(), 1, [&](Into d) { t.backend().depthwise_backward_filter(t.exec(), s, x, dy, d); });
    }
  });
}

TEST_CASE("frozen depthwise is act of scale times conv plus shift plus residual for any batch") {
  on_each_backend([](const Target& target) {
    for (const auto& [what, shape] : kCases) {
      for (const Act act : {Act::none, Act::relu, Act::relu6})
        for (const bool residual : {false, true}) {
          CAPTURE(what);
          CAPTURE(int(act));
          CAPTURE(residual);
          Fused<DepthwiseShape> f{shape, act, residual};
          Trial t(target);
          const Guarded &w = t.input(numbers(2, shape.w_size())), &scale = t.input(numbers(3, shape.c, -2, 2), t.wide()), &shift = t.input(numbers(4, shape.c, -1, 7), t.wide());
          const auto packed = t.backend().pack_depthwise(t.exec(), f, w, scale, shift);
          for (const int64_t n : {shape.n, shape.n + 2}) {
            f.conv.n = n;
            const Guarded &x = t.input(numbers(1, f.conv.x_size())), &add = t.input(numbers(5, f.conv.y_size())), &got = t.output(f.conv.y_size());
            std::vector<double> y(size_t(f.conv.y_size()));
            each_product(f.conv, [&](size_t xi, size_t wi, size_t yi) { y[yi] += x.values[xi] * w.values[wi]; });
            for (size_t i = 0; i < y.size(); ++i) {
              const size_t c = i % size_t(shape.c);
              y[i] = y[i] * scale.values[c] + shift.values[c] + (residual ? add.values[i] : 0);
              if (act != Act::none) y[i] = std::max(y[i], 0.0);
              if (act == Act::relu6) y[i] = std::min(y[i], 6.0);
            }
            t.backend().depthwise_bn_act(t.exec(), f, x, *packed, residual ? Buffer(add) : Buffer{}, got);
            t.check("y", got, y, shape.r * shape.s + 8, 2);
          }
        }
    }
  });
}
