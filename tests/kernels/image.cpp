#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<double> bytes(uint32_t key, int64_t n) {
  std::vector<double> v = numbers(key, n, 0, 256);
  for (double& x : v) x = std::floor(x);
  return v;
}

// One image of one channel, one row; the result's first channel.
std::vector<double> warped_row(const Target& target, const std::vector<double>& row, const Transform& transform, FillMode fill,
                               float fill_value = 0, Interpolation interpolation = Interpolation::bilinear) {
  Trial t(target);
  const AugmentImage by{.transform = transform};
  const auto w = int64_t(row.size());
  const Guarded &x = t.input(row, DType::uint8), &y = t.output(3 * w);
  t.backend().augment(t.exec(), {.n = 1, .h = 1, .w = w, .c = 1, .fill = fill, .fill_value = fill_value, .interpolation = interpolation},
                      {&by, 1}, x, {}, y);
  std::vector<double> first;
  const std::vector<double> all = t.read(y);
  for (size_t i = 0; i < all.size(); i += 3) {
    CHECK((all[i] == all[i + 1] && all[i] == all[i + 2]));  // one stored channel is shown three times
    first.push_back(all[i]);
  }
  return first;
}

}  // namespace

TEST_CASE("augment without changes is the preprocessing of each pixel") {
  on_each_backend([](const Target& target) {
    for (const int64_t c : {1, 3})
      for (const bool bgr : {false, true})
        for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {17, 33}}) {
          CAPTURE(c);
          CAPTURE(bgr);
          CAPTURE(w);
          Trial t(target);
          const std::vector<AugmentImage> images(3);
          const Preprocess pre{.scale = {0.5f, 0.25f, 2}, .shift = {1, -3, 0.125f}, .bgr = bgr};
          const Guarded &x = t.input(bytes(1, 3 * h * w * c), DType::uint8), &y = t.output(3 * h * w * 3);
          std::vector<double> want;
          for (int64_t pixel = 0; pixel < 3 * h * w; ++pixel)
            for (int64_t k = 0; k < 3; ++k)
              want.push_back(x.values[size_t(pixel * c + (c == 1 ? 0 : bgr ? 2 - k : k))] * double(pre.scale[k]) + double(pre.shift[k]));
          t.backend().augment(t.exec(), {.n = 3, .h = h, .w = w, .c = c}, images, x, pre, y);
          t.check("y", y, want, 2, 256);
        }
  });
}

TEST_CASE("augment shows the images of a batch from those that are stored") {
  on_each_backend([](const Target& target) {
    for (const int64_t c : {1, 3}) {
      CAPTURE(c);
      Trial t(target);
      constexpr int64_t kStored = 5, kH = 9, kW = 11;
      const int64_t size = kH * kW * c, pixels = kH * kW * 3;
      std::vector<AugmentImage> images(4);
      const int32_t which[] = {3, 0, 3, 4};
      for (size_t i = 0; i < 4; ++i) images[i].stored = which[i];
      images[1].transform.a2 = 2.5f, images[2].contrast = 1.5f, images[3].brightness = -20;
      const std::vector<double> all = bytes(1, kStored * size);
      std::vector<double> batch;
      for (const int32_t i : which) batch.insert(batch.end(), all.begin() + i * size, all.begin() + (i + 1) * size);
      const Guarded &x = t.input(all, DType::uint8), &in_order = t.input(batch, DType::uint8);
      const Guarded &y = t.output(4 * pixels), &want = t.output(4 * pixels);
      t.backend().augment(t.exec(), {.n = 4, .h = kH, .w = kW, .c = c}, images, in_order, {}, want);
      t.backend().augment(t.exec(), {.n = 4, .h = kH, .w = kW, .c = c, .stored = kStored}, images, x, {}, y);
      CHECK(t.read(y) == t.read(want));
      images[2].stored = kStored;
      CHECK_THROWS_AS(t.backend().augment(t.exec(), {.n = 4, .h = kH, .w = kW, .c = c, .stored = kStored}, images, x, {}, y), Error);
    }
  });
}

// A row 10 20 30 40 shifted and stretched: what lies outside, in each of Keras' fill modes, by hand.
TEST_CASE("fill modes continue the image as Keras names them") {
  const std::vector<double> row{10, 20, 30, 40};
  const Transform left_by_5{.a2 = 5}, right_by_3{.a2 = -3}, half_right{.a2 = -0.5f}, far{.a2 = -14};
  on_each_backend([&](const Target& target) {
    const auto check = [&](const Transform& t, FillMode fill, const std::vector<double>& want) {
      CHECK(difference(warped_row(target, row, t, fill, 200), want, 0, rounding_of(target.dtype)) == "");
    };
    check(right_by_3, FillMode::reflect, {30, 20, 10, 10});  // … 30 20 10 | 10 20 30 40 | 40 …
    check(left_by_5, FillMode::reflect, {30, 20, 10, 10});
    check(far, FillMode::reflect, {30, 40, 40, 30});  // two periods away
    check(right_by_3, FillMode::nearest, {10, 10, 10, 10});
    check(left_by_5, FillMode::nearest, {40, 40, 40, 40});
    check(half_right, FillMode::nearest, {10, 15, 25, 35});
    check(right_by_3, FillMode::constant, {200, 200, 200, 10});
    check(left_by_5, FillMode::constant, {200, 200, 200, 200});
    check(half_right, FillMode::constant, {105, 15, 25, 35});  // half of the fill value comes in
    // TensorFlow counts periods in steps of length − 1 (so −3 becomes 5) and then holds positions at the last pixel.
    check(right_by_3, FillMode::wrap, {40, 30, 40, 10});
    check(half_right, FillMode::wrap, {40, 15, 25, 35});
  });
}

TEST_CASE("nearest rounds half away from zero") {
  on_each_backend([](const Target& target) {
    const std::vector<double> row{10, 20, 30, 40};
    const auto shown = [&](float shift) { return warped_row(target, row, {.a2 = shift}, FillMode::nearest, 0, Interpolation::nearest); };
    CHECK(shown(0.5f) == std::vector<double>{20, 30, 40, 40});
    CHECK(shown(0.49f) == std::vector<double>{10, 20, 30, 40});
    CHECK(shown(-0.5f) == std::vector<double>{10, 20, 30, 40});
    CHECK(shown(-0.51f) == std::vector<double>{10, 10, 20, 30});
  });
}

// 0.7f · 5 is 3.49999994, as a float32 3.5; minus 3 that is a half and rounds to 1. One fused operation would give 0.49999994, and 0.
TEST_CASE("positions are rounded after each operation as in TensorFlow") {
  on_the_reference([](const Target& target) {
    const AugmentShape s{.n = 1, .h = 6, .w = 6, .c = 1, .fill = FillMode::nearest, .interpolation = Interpolation::nearest};
    std::vector<double> image;
    for (int i = 0; i < 36; ++i) image.push_back(i);
    Trial t(target);
    AugmentImage along_x, along_y;
    along_x.transform = {.a0 = 0.7f, .a1 = -1, .b1 = 0};
    along_y.transform = {.a0 = 0, .b0 = -1, .b1 = 0.7f};
    const Guarded &x = t.input(image, DType::uint8), &a = t.output(108), &b = t.output(108);
    t.backend().augment(t.exec(), s, {&along_x, 1}, x, {}, a);
    t.backend().augment(t.exec(), s, {&along_y, 1}, x, {}, b);
    CHECK(t.read(a)[(3 * 6 + 5) * 3] == 1);  // row 0, column 1
    CHECK(t.read(b)[(5 * 6 + 3) * 3] == 6);  // row 1, column 0
  });
}

TEST_CASE("a projective transform divides by its third row and fills where that is zero") {
  on_each_backend([](const Target& target) {
    // k = 1 − x/2: the positions are 0, 2, infinity and −6
    const std::vector<double> got = warped_row(target, {10, 20, 30, 40}, {.c0 = -0.5f}, FillMode::constant, 200);
    CHECK(difference(got, std::vector<double>{10, 30, 200, 200}, 0, rounding_of(target.dtype)) == "");
  });
}

TEST_CASE("an image of one pixel survives every fill mode") {
  on_each_backend([](const Target& target) {
    for (const FillMode fill : {FillMode::reflect, FillMode::nearest, FillMode::wrap})
      CHECK(warped_row(target, {77}, {.a2 = -3.25f}, fill) == std::vector<double>{77});
    CHECK(warped_row(target, {77}, {.a2 = -3.25f}, FillMode::constant, 5) == std::vector<double>{5});
  });
}

// Each image has its own parameters; contrast turns around the mean of the warped channel, brightness comes after it, both are clipped.
TEST_CASE("contrast and brightness of each image") {
  on_each_backend([](const Target& target) {
    Trial t(target);
    const AugmentShape s{.n = 4, .h = 1, .w = 2, .c = 3, .fill = FillMode::nearest};
    AugmentImage images[4];
    images[0].contrast = 2;
    images[1].brightness = -20;
    images[2].contrast = 0.5f, images[2].brightness = 100;
    images[3].contrast = 2, images[3].transform.a2 = 1;  // both pixels show the right one: no contrast is left
    const std::vector<double> one{100, 0, 10, 140, 255, 30};
    std::vector<double> all;
    for (int i = 0; i < 4; ++i) all.insert(all.end(), one.begin(), one.end());
    const Guarded& y = t.output(24);
    t.backend().augment(t.exec(), s, images, t.input(all, DType::uint8), {}, y);
    t.check("y", y, {80,  0,      0,   160, 255, 40,   //
                     80,  0,      0,   120, 235, 10,   //
                     210, 163.75, 115, 230, 255, 125,  //
                     140, 255,    30,  140, 255, 30},
            2, 256);
  });
}

// Against the reference in double: rotations, zooms and shifts of larger images. A position may fall to the other side of a border
// between source pixels, where the result may jump: such pixels are told by moving every position by 1e-4 and are free.
TEST_CASE("augmented batches equal the reference") {
  const auto reference = make_reference_backend();
  const Target truth{reference, DType::float64, true};
  on_each_backend([&](const Target& target) {
    for (const FillMode fill : {FillMode::reflect, FillMode::nearest, FillMode::constant, FillMode::wrap})
      for (const Interpolation interpolation : {Interpolation::bilinear, Interpolation::nearest})
        for (const int64_t c : {1, 3}) {
          CAPTURE(int(fill));
          CAPTURE(int(interpolation));
          const AugmentShape s{.n = 3, .h = 19, .w = 26, .c = c, .fill = fill, .fill_value = 50, .interpolation = interpolation};
          std::vector<AugmentImage> images(3);
          images[0].transform = {.a0 = 0.9063f, .a1 = -0.4226f, .a2 = 2.347f, .b0 = 0.4226f, .b1 = 0.9063f, .b2 = -1.733f};
          images[1].transform = {.a0 = -1.6931f, .a2 = 31.13f, .b1 = 1.4142f, .b2 = -6.271f};
          images[2].transform = {.a0 = 1, .a2 = -40.63f, .b1 = 1, .b2 = 55.41f, .c0 = 0.0107f};
          images[0].contrast = 1.3f, images[1].brightness = 17.5f;
          const Preprocess pre{.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -1, -1}};
          const auto run = [&](const Target& on, float dx, float dy) {
            std::vector<AugmentImage> moved = images;
            for (AugmentImage& m : moved) m.transform.a2 += dx, m.transform.b2 += dy;
            Trial t(on);
            const Guarded &x = t.input(bytes(1, s.n * s.h * s.w * s.c), DType::uint8), &y = t.output(s.n * s.h * s.w * 3);
            t.backend().augment(t.exec(), s, moved, x, pre, y);
            return t.read(y);
          };
          const std::vector<double> got = run(target, 0, 0), want = run(truth, 0, 0);
          const std::vector<double> near[] = {run(truth, 1e-4f, 0), run(truth, -1e-4f, 0), run(truth, 0, 1e-4f), run(truth, 0, -1e-4f)};
          size_t off = 0, free = 0;
          for (size_t i = 0; i < want.size(); ++i) {
            double jump = 0;
            for (const auto& n : near) jump = std::max(jump, std::fabs(n[i] - want[i]));
            free += jump > 0.01;
            off += !close(got[i], want[i], 2e-5 + jump, 1.01 * rounding_of(target.dtype) + 1e-6);
          }
          CHECK_MESSAGE(off == 0, off, " pixels differ; without freedom: ", difference(got, want, 2e-5, rounding_of(target.dtype)));
          CHECK(free < want.size() / 100);
        }
  });
}

// Tolerance: float32 positions up to 200 pixels, with a slope of up to 255 levels a pixel.
TEST_CASE("resize_bilinear interpolates between pixel centres") {
  on_each_backend([](const Target& target) {
    if (target.dtype != DType::float32) return;  // the result is float32 whatever the type
    for (const ResizeShape s : {ResizeShape{1, 1, 1, 1, 1},
                                {1, 1, 3, 4, 5},
                                {7, 5, 3, 7, 5},
                                {9, 14, 1, 4, 3},
                                {5, 6, 3, 13, 17},
                                {200, 2, 1, 3, 9},
                                {2, 33, 4, 31, 1}}) {
      CAPTURE(s.h);
      CAPTURE(s.w);
      CAPTURE(s.out_h);
      CAPTURE(s.out_w);
      Trial t(target);
      const Guarded &x = t.input(bytes(1, s.h * s.w * s.c), DType::uint8), &y = t.output(s.out_h * s.out_w * s.c);
      // Every input pixel is a tent of width one around its centre; beyond the outermost centres the image goes on unchanged.
      const auto tent = [](int64_t i, int64_t in, int64_t out, int64_t j) {
        const double position = std::clamp((double(i) + 0.5) * double(in) / double(out) - 0.5, 0., double(in - 1));
        return std::max(0., 1 - std::fabs(position - double(j)));
      };
      std::vector<double> want;
      for (int64_t row = 0; row < s.out_h; ++row)
        for (int64_t column = 0; column < s.out_w; ++column)
          for (int64_t c = 0; c < s.c; ++c) {
            double sum = 0;
            for (int64_t h = 0; h < s.h; ++h)
              for (int64_t w = 0; w < s.w; ++w)
                sum += tent(row, s.h, s.out_h, h) * tent(column, s.w, s.out_w, w) * x.values[size_t((h * s.w + w) * s.c + c)];
            want.push_back(sum);
          }
      t.backend().resize_bilinear(t.exec(), s, x, y);
      t.check("y", y, want, Tolerance{4e-3, 0});
    }
  });
}
