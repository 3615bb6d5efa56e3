#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Case {
  const char* what;
  ConvShape s;
};

// Tolerance: a sum of r·s·c (or n·p·q) products of numbers below 1, see tolerance() in backends.hpp.
const Case kCases[] = {
    {"one number", {.n = 1, .h = 1, .w = 1, .c = 1, .k = 1}},
    {"window larger than the image", {.n = 1, .h = 1, .w = 1, .c = 3, .k = 2, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
    {"3x3, not square", {.n = 2, .h = 5, .w = 7, .c = 3, .k = 4, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
    {"3x3 without padding", {.n = 1, .h = 5, .w = 4, .c = 17, .k = 9, .r = 3, .s = 3}},
    {"stride 2, odd size", {.n = 3, .h = 7, .w = 5, .c = 17, .k = 5, .r = 3, .s = 3, .stride = 2, .pad_h = 1, .pad_w = 1}},
    {"stride 2, even size, zeros at the end alone",
     {.n = 1, .h = 8, .w = 6, .c = 3, .k = 16, .r = 3, .s = 3, .stride = 2, .more_h = 1, .more_w = 1}},
    {"zeros at the end of the columns alone",
     {.n = 1, .h = 5, .w = 6, .c = 2, .k = 3, .r = 3, .s = 3, .stride = 2, .pad_h = 1, .more_w = 1}},
    {"stride 2 leaves the last row out", {.n = 1, .h = 6, .w = 8, .c = 2, .k = 3, .r = 3, .s = 3, .stride = 2}},
    {"7x7 stem", {.n = 1, .h = 9, .w = 11, .c = 3, .k = 7, .r = 7, .s = 7, .stride = 2, .pad_h = 3, .pad_w = 3}},
    {"1x1", {.n = 2, .h = 6, .w = 5, .c = 17, .k = 33}},
    {"1x1, half a vector", {.n = 1, .h = 3, .w = 1, .c = 5, .k = 8}},
    {"1x1, a vector and a half", {.n = 2, .h = 5, .w = 3, .c = 7, .k = 24}},
    {"1x1, panels of 64, 48 and 8", {.n = 1, .h = 4, .w = 4, .c = 3, .k = 120}},
    {"1x1, panels of 64 and 32", {.n = 1, .h = 1, .w = 13, .c = 9, .k = 96}},
    {"1x1, panels of 64 and 16", {.n = 3, .h = 1, .w = 2, .c = 16, .k = 80}},
    {"1x1, a panel of 32 and one of 8", {.n = 1, .h = 5, .w = 5, .c = 4, .k = 40}},
    {"1x1, stride 2", {.n = 1, .h = 6, .w = 5, .c = 8, .k = 4, .stride = 2}},
    {"1x7", {.n = 1, .h = 5, .w = 9, .c = 4, .k = 6, .r = 1, .s = 7, .pad_w = 3}},
    {"7x1", {.n = 1, .h = 9, .w = 2, .c = 4, .k = 6, .r = 7, .s = 1, .pad_h = 3}},
    {"stride larger than the window", {.n = 1, .h = 9, .w = 10, .c = 2, .k = 3, .r = 2, .s = 2, .stride = 3}},
    {"5x5", {.n = 2, .h = 6, .w = 6, .c = 5, .k = 1, .r = 5, .s = 5, .pad_h = 2, .pad_w = 2}},
    {"even window", {.n = 1, .h = 4, .w = 4, .c = 3, .k = 3, .r = 2, .s = 4, .pad_h = 1, .pad_w = 1}},
    {"one channel in, one out", {.n = 2, .h = 8, .w = 8, .c = 1, .k = 1, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
    {"many channels", {.n = 2, .h = 6, .w = 7, .c = 64, .k = 48, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
    {"a row of tiles and a rest", {.n = 1, .h = 13, .w = 15, .c = 16, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}},
    {"a dense layer", {.n = 3, .h = 1, .w = 1, .c = 130, .k = 70}},
};

// Calls f(x index, w index, y index) for every product of the convolution.
template <class F>
void each_product(const ConvShape& s, F&& f) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t h = 0; h < s.h; ++h)
      for (int64_t w = 0; w < s.w; ++w)
        for (int64_t p = 0; p < s.p(); ++p)
          for (int64_t q = 0; q < s.q(); ++q) {
            const int64_t r = h + s.pad_h - p * s.stride, t = w + s.pad_w - q * s.stride;  // the weight between (h,w) and (p,q)
            if (r < 0 || r >= s.r || t < 0 || t >= s.s) continue;
            for (int64_t c = 0; c < s.c; ++c)
              for (int64_t k = 0; k < s.k; ++k)
                f(size_t(((n * s.h + h) * s.w + w) * s.c + c), size_t(((r * s.s + t) * s.c + c) * s.k + k),
                  size_t(((n * s.p() + p) * s.q() + q) * s.k + k));
          }
}

}  // namespace

TEST_CASE("conv forward and both gradients are sums over all products") {
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
      t.backend().conv_forward(t.exec(), s, x, w, got);
      t.check("y", got, y, s.r * s.s * s.c);
      const DType type = t.dtype(), *between = target.is_cuda ? &type : nullptr;
      t.check_into(
          "dx", t.dtype(), dx, s.r * s.s * s.k, 1, [&](Into d) { t.backend().conv_backward_data(t.exec(), s, dy, w, d); }, between);
      t.check_into(
          "dw", t.dtype(), dw, s.n * s.p() * s.q(), 1, [&](Into d) { t.backend().conv_backward_filter(t.exec(), s, x, dy, d); }, between);
      if (t.wide() != t.dtype())
        t.check_into(
            "float32 dw", t.wide(), dw, s.n * s.p() * s.q(), 1, [&](Into d) { t.backend().conv_backward_filter(t.exec(), s, x, dy, d); },
            between);
    }
  });
}

TEST_CASE("frozen conv is act of scale times conv plus shift plus residual for any batch") {
  on_each_backend([](const Target& target) {
    for (const auto& [what, shape] : kCases) {
      for (const Act act : {Act::none, Act::relu, Act::relu6})
        for (const bool residual : {false, true}) {
          CAPTURE(what);
          CAPTURE(int(act));
          CAPTURE(residual);
          Fused<ConvShape> f{shape, act, residual};
          Trial t(target);
          const Guarded &w = t.input(numbers(2, shape.w_size())), &scale = t.input(numbers(3, shape.k, -2, 2), t.wide()),
                        &shift = t.input(numbers(4, shape.k, -1, 7), t.wide());
          const auto packed = t.backend().pack_conv(t.exec(), f, w, scale, shift);
          for (const int64_t n : {shape.n, shape.n + 2}) {
            f.conv.n = n;
            const Guarded &x = t.input(numbers(1, f.conv.x_size())), &add = t.input(numbers(5, f.conv.y_size())),
                          &got = t.output(f.conv.y_size());
            std::vector<double> y(size_t(f.conv.y_size()));
            each_product(f.conv, [&](size_t xi, size_t wi, size_t yi) { y[yi] += x.values[xi] * w.values[wi]; });
            for (size_t i = 0; i < y.size(); ++i) {
              const size_t k = i % size_t(shape.k);
              y[i] = y[i] * scale.values[k] + shift.values[k] + (residual ? add.values[i] : 0);
              if (act != Act::none) y[i] = std::max(y[i], 0.0);
              if (act == Act::relu6) y[i] = std::min(y[i], 6.0);
            }
            t.backend().conv_bn_act(t.exec(), f, x, *packed, residual ? Buffer(add) : Buffer{}, got);
            t.check("y", got, y, packed_tolerance(target, shape.r * shape.s * shape.c + 8, 2));
          }
        }
    }
  });
}

TEST_CASE("conv gives the same bytes for any number of threads") {
  on_the_reference([](const Target& target) {
    const ConvShape s{.n = 2, .h = 9, .w = 8, .c = 19, .k = 21, .r = 3, .s = 3, .stride = 2, .pad_h = 1, .pad_w = 1};
    std::vector<double> first[3];
    for (const int threads : {1, 2, 3}) {
      Trial t(target, threads);
      const Guarded &x = t.input(numbers(1, s.x_size())), &w = t.input(numbers(2, s.w_size())), &dy = t.input(numbers(3, s.y_size()));
      const Guarded &y = t.output(s.y_size()), &dx = t.output(s.x_size()), &dw = t.output(s.w_size());
      t.backend().conv_forward(t.exec(), s, x, w, y);
      t.backend().conv_backward_data(t.exec(), s, dy, w, {dx});
      t.backend().conv_backward_filter(t.exec(), s, x, dy, {dw});
      const std::vector<double> now[3] = {t.read(y), t.read(dx), t.read(dw)};
      for (int i = 0; i < 3; ++i) {
        if (threads == 1) first[i] = now[i];
        CHECK(difference(now[i], first[i], 0, 0) == "");
      }
    }
  });
}

TEST_CASE("weights packed for another shape are refused") {
  on_the_reference([](const Target& target) {
    Trial t(target);
    const Fused<ConvShape> f{.conv = {.n = 1, .h = 4, .w = 4, .c = 3, .k = 5}}, g{.conv = {.n = 1, .h = 4, .w = 4, .c = 3, .k = 6}};
    const auto packed =
        t.backend().pack_conv(t.exec(), f, t.input(numbers(1, 15)), t.input(numbers(2, 5), t.wide()), t.input(numbers(3, 5), t.wide()));
    const Guarded &x = t.input(numbers(4, 48)), &y = t.output(96);
    CHECK_THROWS_AS(t.backend().conv_bn_act(t.exec(), g, x, *packed, {}, y), Error);
    CHECK_THROWS_AS(t.backend().conv_bn_act(t.exec(), f, x, PackedWeights(), {}, t.output(80)), Error);
  });
}
