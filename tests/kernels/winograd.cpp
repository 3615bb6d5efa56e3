// Winograd's convolution against the reference. Its sums are others than those of the direct convolution, so it has a tolerance of its
// own: 2e-5 of the result's rms for the rms of the error, 2e-4 for the largest.
#include "kernels/cpu/winograd.hpp"
#include "kernels/cpu/conv_choice.hpp"
#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;
using cpu::Algorithm;
using cpu::ConvChoice;
using cpu::ConvUse;

namespace {

constexpr int64_t kSentinels = 64;
constexpr float kSentinel = 12345.f;

std::vector<float> noise(int64_t n, uint64_t seed) {
  std::vector<float> v(static_cast<size_t>(n));
  uint64_t state = seed * 0x9e3779b97f4a7c15u + 1;
  for (float& f : v) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    f = float(int64_t(state >> 40) - (1 << 23)) * 0x1p-23f;
  }
  return v;
}

// With sentinels behind the values.
struct Fenced {
  explicit Fenced(int64_t n, float fill = 0) : values(size_t(n + kSentinels), fill), size(n) {
    std::fill(values.end() - kSentinels, values.end(), kSentinel);
  }
  Buffer buffer() { return {values.data(), DType::float32, size}; }
  bool intact() const {
    return std::all_of(values.end() - kSentinels, values.end(), [](float v) { return v == kSentinel; });
  }
  std::vector<float> values;
  int64_t size;
};

Buffer buffer(std::vector<float>& v) { return {v.data(), DType::float32, int64_t(v.size())}; }

void expect_near(const Fenced& got, const Fenced& want) {
  double error = 0, rms = 0, largest = 0;
  for (int64_t i = 0; i < got.size; ++i) {
    const double d = std::fabs(double(got.values[size_t(i)]) - want.values[size_t(i)]);
    error += d * d, rms += double(want.values[size_t(i)]) * want.values[size_t(i)];
    largest = d <= largest ? largest : d;  // a NaN stays
  }
  error = std::sqrt(error / double(got.size)), rms = std::sqrt(rms / double(got.size));
  CHECK(rms > 0);
  CHECK(error <= 2e-5 * rms);
  CHECK(largest <= 2e-4 * rms);
  CHECK(got.intact());
}

const ConvShape kShapes[] = {
    {.n = 1, .h = 4, .w = 4, .c = 16, .k = 16, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 2, .h = 7, .w = 7, .c = 64, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 3, .h = 5, .w = 9, .c = 48, .k = 80, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
    {.n = 1, .h = 35, .w = 33, .c = 32, .k = 96, .r = 3, .s = 3},
    {.n = 2, .h = 3, .w = 3, .c = 16, .k = 48, .r = 3, .s = 3},
    {.n = 1, .h = 6, .w = 11, .c = 16, .k = 16, .r = 3, .s = 3, .pad_h = 2, .pad_w = 0},
    {.n = 2, .h = 9, .w = 6, .c = 16, .k = 16, .r = 3, .s = 3, .pad_h = 0, .pad_w = 1, .more_h = 1},
    {.n = 4, .h = 28, .w = 28, .c = 128, .k = 32, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
};

struct Sides {
  std::shared_ptr<Backend> cpu = make_cpu_backend(), reference = make_reference_backend();
  std::unique_ptr<Exec> reference_exec = reference->make_exec(1);
  explicit Sides(ConvChoice choice = ConvChoice::winograd) { cpu::conv_algorithms(*cpu)->choose(choice); }
};

}  // namespace

TEST_CASE("winograd forward and both gradients agree with the reference") {
  for (const ConvShape& s : kShapes)
    for (const int threads : {1, 2}) {
      CAPTURE(s.h);
      CAPTURE(s.w);
      CAPTURE(s.c);
      CAPTURE(s.k);
      CAPTURE(threads);
      REQUIRE(cpu::winograd_fits(s, DType::float32));
      Sides sides;
      const auto exec = sides.cpu->make_exec(threads);
      std::vector<float> x = noise(s.x_size(), 1), w = noise(s.w_size(), 2), dy = noise(s.y_size(), 3);
      Fenced y(s.y_size()), y_want(s.y_size());
      sides.cpu->conv_forward(*exec, s, buffer(x), buffer(w), y.buffer());
      sides.reference->conv_forward(*sides.reference_exec, s, buffer(x), buffer(w), y_want.buffer());
      expect_near(y, y_want);
      for (const Accumulate how : {Accumulate::no, Accumulate::yes}) {
        Fenced dx(s.x_size(), 0.5f), dx_want(s.x_size(), 0.5f), dw(s.w_size(), 0.5f), dw_want(s.w_size(), 0.5f);
        sides.cpu->conv_backward_data(*exec, s, buffer(dy), buffer(w), {dx.buffer(), how});
        sides.reference->conv_backward_data(*sides.reference_exec, s, buffer(dy), buffer(w), {dx_want.buffer(), how});
        expect_near(dx, dx_want);
        sides.cpu->conv_backward_filter(*exec, s, buffer(x), buffer(dy), {dw.buffer(), how});
        sides.reference->conv_backward_filter(*sides.reference_exec, s, buffer(x), buffer(dy), {dw_want.buffer(), how});
        expect_near(dw, dw_want);
      }
    }
}

TEST_CASE("winograd's frozen convolution agrees with the reference, and an image does not know its neighbours") {
  for (const ConvShape& s : kShapes)
    for (const bool residual : {false, true})
      for (const Act act : {Act::none, Act::relu, Act::relu6}) {
        CAPTURE(s.h);
        CAPTURE(s.w);
        CAPTURE(s.c);
        CAPTURE(s.k);
        CAPTURE(residual);
        Sides sides;
        const auto exec = sides.cpu->make_exec(2), single = sides.cpu->make_exec(1);
        std::vector<float> x = noise(s.x_size(), 4), w = noise(s.w_size(), 5), scale = noise(s.k, 6), shift = noise(s.k, 7),
                           r = noise(s.y_size(), 8);
        for (float& v : scale) v += 2;
        const Fused<ConvShape> f{s, act, residual};
        Fenced y(s.y_size()), want(s.y_size());
        const Buffer other = residual ? buffer(r) : Buffer{};
        const auto packed = sides.cpu->pack_conv(*exec, f, buffer(w), buffer(scale), buffer(shift));
        sides.cpu->conv_bn_act(*exec, f, buffer(x), *packed, other, y.buffer());
        const auto plain = sides.reference->pack_conv(*sides.reference_exec, f, buffer(w), buffer(scale), buffer(shift));
        sides.reference->conv_bn_act(*sides.reference_exec, f, buffer(x), *plain, other, want.buffer());
        expect_near(y, want);
        Fused<ConvShape> one = f;
        one.conv.n = 1;
        const int64_t last = s.n - 1, x_size = s.x_size() / s.n, y_size = s.y_size() / s.n;
        Fenced alone(y_size);
        sides.cpu->conv_bn_act(*single, one, buffer(x).slice(last * x_size, x_size), *packed,
                               residual ? other.slice(last * y_size, y_size) : Buffer{}, alone.buffer());
        CHECK(std::equal(alone.values.begin(), alone.values.begin() + y_size, y.values.begin() + last * y_size));
      }
}

TEST_CASE("winograd gives the same bytes for any number of threads") {
  const ConvShape s{.n = 4, .h = 28, .w = 28, .c = 64, .k = 96, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  std::vector<float> x = noise(s.x_size(), 1), w = noise(s.w_size(), 2), dy = noise(s.y_size(), 3);
  Sides sides;
  std::vector<std::vector<float>> first;
  for (const int threads : {1, 2, 3, 8}) {
    const auto exec = sides.cpu->make_exec(threads);
    Fenced y(s.y_size()), dx(s.x_size()), dw(s.w_size());
    sides.cpu->conv_forward(*exec, s, buffer(x), buffer(w), y.buffer());
    sides.cpu->conv_backward_data(*exec, s, buffer(dy), buffer(w), {dx.buffer()});
    sides.cpu->conv_backward_filter(*exec, s, buffer(x), buffer(dy), {dw.buffer()});
    const std::vector<std::vector<float>> all{y.values, dx.values, dw.values};
    if (first.empty()) first = all;
    CHECK(all == first);
  }
}

TEST_CASE("a backend convolves directly until it is told otherwise, and then by the table of costs") {
  const ConvShape large{.n = 1, .h = 56, .w = 56, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1},
      narrow{.n = 1, .h = 7, .w = 7, .c = 512, .k = 512, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  ConvShape strided = large, wide = large;
  strided.stride = 2, wide.r = wide.s = 5;
  cpu::ConvAlgorithms choices;
  CHECK(choices.of(ConvUse::frozen, large, DType::float32) == Algorithm::direct);
  choices.choose(ConvChoice::automatic);
#ifdef __AVX512F__
  CHECK(choices.of(ConvUse::frozen, large, DType::float32) == Algorithm::winograd);
#else
  CHECK(choices.of(ConvUse::frozen, large, DType::float32) == Algorithm::direct);
#endif
  CHECK(choices.of(ConvUse::frozen, narrow, DType::float32) == Algorithm::direct);
  choices.choose(ConvChoice::winograd);
  CHECK(choices.of(ConvUse::forward, narrow, DType::float32) == Algorithm::winograd);
  CHECK(choices.of(ConvUse::forward, strided, DType::float32) == Algorithm::direct);
  CHECK(choices.of(ConvUse::forward, wide, DType::float32) == Algorithm::direct);
  CHECK(choices.of(ConvUse::forward, large, DType::bfloat16) == Algorithm::direct);
  CHECK(cpu::parse_conv_choice("autotune") == ConvChoice::autotune);
  CHECK_THROWS_AS(cpu::parse_conv_choice("fast"), Error);
}

TEST_CASE("autotune measures a shape once, and what it chose can be stored and recalled") {
  const ConvShape s{.n = 1, .h = 56, .w = 56, .c = 64, .k = 64, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1};
  cpu::ConvAlgorithms choices, later;
  choices.choose(ConvChoice::autotune), later.choose(ConvChoice::autotune);
  int runs = 0;
  const auto seconds = [&](Algorithm a) { return ++runs, a == Algorithm::winograd ? 2.0 : 1.0; };
  CHECK(choices.of(ConvUse::forward, s, DType::float32, seconds) == Algorithm::direct);
  CHECK(runs > 0);
  later.recall(choices.tuned());
  runs = 0;
  CHECK(choices.of(ConvUse::forward, s, DType::float32, seconds) == Algorithm::direct);
  CHECK(later.of(ConvUse::forward, s, DType::float32, seconds) == Algorithm::direct);
  CHECK(runs == 0);
  CHECK_THROWS_AS(later.recall({"forward 1x2x3"}), Error);
}

TEST_CASE("autotune gives the values of one of the two") {
  const ConvShape s = kShapes[1];
  std::vector<float> x = noise(s.x_size(), 1), w = noise(s.w_size(), 2), scale(size_t(s.k), 1.f), shift(size_t(s.k), 0.f);
  Sides sides(ConvChoice::autotune);
  const auto exec = sides.cpu->make_exec(1);
  Fenced y(s.y_size()), fused(s.y_size()), want(s.y_size());
  sides.cpu->conv_forward(*exec, s, buffer(x), buffer(w), y.buffer());
  const Fused<ConvShape> f{s};
  const auto packed = sides.cpu->pack_conv(*exec, f, buffer(w), buffer(scale), buffer(shift));
  sides.cpu->conv_bn_act(*exec, f, buffer(x), *packed, {}, fused.buffer());
  sides.reference->conv_forward(*sides.reference_exec, s, buffer(x), buffer(w), want.buffer());
  expect_near(y, want);
  expect_near(fused, want);
  CHECK(cpu::conv_algorithms(*sides.cpu)->tuned().size() == 2);
  CHECK(cpu::conv_algorithms(*sides.reference) == nullptr);
}
