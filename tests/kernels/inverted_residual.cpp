#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

struct Case {
  const char* what;
  int64_t n, h, w, in, wide, out, stride = 1;
  bool expands = true, residual = false;
  bool large = false;  // for a backend that works in strips: several of them
};

const Case kCases[] = {
    {.what = "one strip", .n = 2, .h = 5, .w = 7, .in = 8, .wide = 16, .out = 8, .residual = true},
    {.what = "odd channels", .n = 2, .h = 6, .w = 5, .in = 3, .wide = 17, .out = 5},
    {.what = "one pixel", .n = 3, .h = 1, .w = 1, .in = 8, .wide = 32, .out = 16},
    {.what = "strips with stride 1", .n = 3, .h = 61, .w = 43, .in = 24, .wide = 144, .out = 24, .residual = true, .large = true},
    {.what = "strips with stride 2, even size", .n = 2, .h = 60, .w = 64, .in = 16, .wide = 96, .out = 40, .stride = 2, .large = true},
    {.what = "strips with stride 2, odd size", .n = 2, .h = 61, .w = 63, .in = 16, .wide = 96, .out = 24, .stride = 2, .large = true},
    {.what = "a row is more than a strip", .n = 2, .h = 5, .w = 300, .in = 8, .wide = 480, .out = 8, .large = true},
    {.what = "without an expansion", .n = 2, .h = 90, .w = 52, .in = 32, .wide = 32, .out = 16, .expands = false, .large = true},
    {.what = "without an expansion, stride 2, a sum",
     .n = 2,
     .h = 9,
     .w = 9,
     .in = 16,
     .wide = 16,
     .out = 16,
     .stride = 2,
     .expands = false,
     .residual = true},
};

}  // namespace

TEST_CASE("an inverted residual gives the same bytes as its convolutions one after the other") {
  on_each_backend([](const Target& target) {
    for (const Case& c : kCases) {
      if (c.large && (target.backend->name() != "cpu" || target.dtype != DType::float32)) continue;
      for (const int threads : {1, 2, 5}) {
        CAPTURE(c.what);
        CAPTURE(threads);
        Trial t(target, threads);
        const int64_t pad = c.stride == 1 ? 1 : c.h % 2, pad_w = c.stride == 1 ? 1 : c.w % 2;  // as Keras pads
        const Fused<ConvShape> up{{.n = c.n, .h = c.h, .w = c.w, .c = c.in, .k = c.wide}, Act::relu6};
        const Fused<DepthwiseShape> deep{{.n = c.n,
                                          .h = c.h,
                                          .w = c.w,
                                          .c = c.wide,
                                          .stride = c.stride,
                                          .pad_h = pad,
                                          .pad_w = pad_w,
                                          .more_h = 1 - pad,
                                          .more_w = 1 - pad_w},
                                         Act::relu6};
        const Fused<ConvShape> down{{.n = c.n, .h = deep.conv.p(), .w = deep.conv.q(), .c = c.wide, .k = c.out}, Act::none, c.residual};
        const auto weights = [&](int seed, int64_t size, int64_t channels, const auto& pack) {
          return pack(t.input(numbers(seed, size)), t.input(numbers(seed + 1, channels, 0.5, 2), t.wide()),
                      t.input(numbers(seed + 2, channels), t.wide()));
        };
        Backend& b = t.backend();
        const auto w1 =
            weights(10, up.conv.w_size(), c.wide, [&](Buffer w, Buffer s, Buffer m) { return b.pack_conv(t.exec(), up, w, s, m); });
        const auto w2 = weights(20, deep.conv.w_size(), c.wide,
                                [&](Buffer w, Buffer s, Buffer m) { return b.pack_depthwise(t.exec(), deep, w, s, m); });
        const auto w3 =
            weights(30, down.conv.w_size(), c.out, [&](Buffer w, Buffer s, Buffer m) { return b.pack_conv(t.exec(), down, w, s, m); });

        const Guarded &x = t.input(numbers(1, c.n * c.h * c.w * c.in)), &add = t.input(numbers(2, down.conv.y_size()));
        const Buffer residual = c.residual ? Buffer(add) : Buffer{};
        const Guarded &wide = t.output(deep.conv.x_size()), &between = t.output(deep.conv.y_size()), &y = t.output(down.conv.y_size());
        if (c.expands) b.conv_bn_act(t.exec(), up, x, *w1, {}, wide);
        b.depthwise_bn_act(t.exec(), deep, c.expands ? wide : x, *w2, {}, between);
        b.conv_bn_act(t.exec(), down, between, *w3, residual, y);

        const Guarded &room = t.output(deep.conv.x_size()), &more = t.output(deep.conv.y_size()), &got = t.output(down.conv.y_size());
        b.inverted_residual(t.exec(),
                            {.expand = {up, c.expands ? w1.get() : nullptr},
                             .depthwise = deep,
                             .depthwise_weights = w2.get(),
                             .project = {down, w3.get()},
                             .wide = c.expands ? Buffer(room) : Buffer{},
                             .deep = more},
                            x, residual, got);
        CHECK(difference(t.read(got), t.read(y), 0, 0) == "");
      }
    }
  });
}

TEST_CASE("an inverted residual refuses weights that were packed for other convolutions") {
  on_each_backend([](const Target& target) {
    if (target.is_cuda) return;  // cuDNN's plans take what they are given
    Trial t(target, 1);
    Backend& b = t.backend();
    const Fused<ConvShape> up{{.n = 1, .h = 4, .w = 4, .c = 8, .k = 16}, Act::relu6}, down{{.n = 1, .h = 4, .w = 4, .c = 16, .k = 24}};
    const Fused<DepthwiseShape> deep{{.n = 1, .h = 4, .w = 4, .c = 16, .pad_h = 1, .pad_w = 1}, Act::relu6};
    const auto pack = [&](const Fused<ConvShape>& f) {
      return b.pack_conv(t.exec(), f, t.input(numbers(1, f.conv.w_size())), t.input(numbers(2, f.conv.k), t.wide()),
                         t.input(numbers(3, f.conv.k), t.wide()));
    };
    const auto w1 = pack(up), w3 = pack(down);
    const auto w2 =
        b.pack_depthwise(t.exec(), deep, t.input(numbers(4, 144)), t.input(numbers(5, 16), t.wide()), t.input(numbers(6, 16), t.wide()));
    const Guarded &x = t.input(numbers(7, 128)), &wide = t.output(256), &between = t.output(256), &y = t.output(384);
    const InvertedResidual all{.expand = {up, w1.get()},
                               .depthwise = deep,
                               .depthwise_weights = w2.get(),
                               .project = {down, w3.get()},
                               .wide = wide,
                               .deep = between};
    InvertedResidual mixed = all;
    std::swap(mixed.expand.weights, mixed.project.weights);
    CHECK_THROWS_AS(b.inverted_residual(t.exec(), mixed, x, {}, y), Error);
    InvertedResidual small = all;
    small.deep = Buffer(x);
    CHECK_THROWS_AS(b.inverted_residual(t.exec(), small, x, {}, y), Error);
    b.inverted_residual(t.exec(), all, x, {}, y);
  });
}
