#include "data/augment.hpp"

#include <algorithm>
#include <numbers>

#include "tests/data/expect_error.hpp"

namespace ptrain::test {
namespace {

std::pair<double, double> apply(const Transform& t, double x, double y) { return {t.a0 * x + t.a1 * y + t.a2, t.b0 * x + t.b1 * y + t.b2}; }

void expect_same_place(const Transform& t, double x, double y, double want_x, double want_y) {
  const auto [got_x, got_y] = apply(t, x, y);
  CHECK(close(got_x, want_x, 1e-4, 0));
  CHECK(close(got_y, want_y, 1e-4, 0));
}

}  // namespace

TEST_CASE("a chain of transforms sends a pixel where Keras' layers would one after the other") {
  const int64_t h = 12, w = 16;
  const Warp warp{.flip_horizontal = true, .angle = 0.3, .zoom_height = 1.25, .zoom_width = 0.9, .dy = 2.5, .dx = -1.25};
  const Transform all = warp_transform(warp, h, w);
  const Transform flip = flip_transform(true, false, h, w), turn = rotation_transform(0.3, h, w), zoom = zoom_transform(1.25, 0.9, h, w),
                  move = translation_transform(2.5, -1.25);
  for (const auto& [x, y] : {std::pair{0.0, 0.0}, {15.0, 0.0}, {3.0, 7.0}, {15.0, 11.0}}) {
    // The last layer's output pixel comes from its input, which is the output of the layer before.
    auto [px, py] = apply(move, x, y);
    std::tie(px, py) = apply(zoom, px, py);
    std::tie(px, py) = apply(turn, px, py);
    std::tie(px, py) = apply(flip, px, py);
    expect_same_place(all, x, y, px, py);
  }
  CHECK(warp_transform({}, h, w) == Transform{});
  CHECK(warp_transform({.flip_vertical = true}, h, w) == flip_transform(false, true, h, w));
}

TEST_CASE("flip and rotation and zoom keep the centre and a translation moves the image down and right") {
  expect_same_place(flip_transform(true, true, 5, 7), 0, 0, 6, 4);
  for (const double angle : {0.1, 1.0, std::numbers::pi}) expect_same_place(rotation_transform(angle, 5, 7), 3, 2, 3, 2);
  expect_same_place(zoom_transform(0.5, 2, 5, 7), 3, 2, 3, 2);
  expect_same_place(zoom_transform(2, 1, 5, 7), 3, 4, 3, 6);  // two rows below the centre shows what is four below: more fits in
  expect_same_place(translation_transform(1, 2), 2, 1, 0, 0);
}

TEST_CASE("draws depend on seed and epoch and index alone and lie in their ranges") {
  const AugmentOptions o = augment_preset("strong");
  const int n = 4000;
  int flips = 0;
  double zoom_low = 9, zoom_high = 0, contrast_sum = 0, bright_low = 999, bright_high = -999;
  for (int i = 0; i < n; ++i) {
    const AugmentImage a = draw_augmentation(o, 3, 1, i, 224, 224), b = draw_augmentation(o, 3, 1, i, 224, 224);
    CHECK(a.transform == b.transform);
    CHECK(a.contrast == b.contrast);
    const Transform& t = a.transform;
    const double determinant = double(t.a0) * t.b1 - double(t.a1) * t.b0;
    flips += determinant < 0;
    zoom_low = std::min(zoom_low, std::fabs(determinant)), zoom_high = std::max(zoom_high, std::fabs(determinant));
    contrast_sum += a.contrast;
    CHECK(a.contrast >= 0.75f);
    CHECK(a.contrast <= 1.25f);
    bright_low = std::min<double>(bright_low, a.brightness), bright_high = std::max<double>(bright_high, a.brightness);
  }
  CHECK(std::abs(flips - n / 2) < 150);  // almost five deviations
  CHECK(zoom_low >= 0.64);
  CHECK(zoom_low < 0.7);
  CHECK(zoom_high <= 1.44);
  CHECK(zoom_high > 1.35);
  CHECK(close(contrast_sum / n, 1, 0.012, 0));
  CHECK(bright_low >= -25.5);
  CHECK(bright_low < -25);
  CHECK(bright_high > 25);
  const auto brightness = [&](uint64_t seed, uint32_t epoch, int64_t index) {
    return draw_augmentation(o, seed, epoch, index, 9, 9).brightness;
  };
  CHECK(brightness(3, 1, 7) != brightness(4, 1, 7));
  CHECK(brightness(3, 1, 7) != brightness(3, 2, 7));
  CHECK(brightness(3, 1, 7) != brightness(3, 1, 8));
}

TEST_CASE("turning one transform on does not move the draws of another") {
  AugmentOptions rotation, both;
  rotation.rotation = both.rotation = Range::around(0.1f);
  both.contrast = Range::around(0.5f);
  both.translate_width = Range::around(0.1f);
  for (int i = 0; i < 50; ++i) {
    const Transform a = draw_augmentation(rotation, 1, 0, i, 20, 30).transform, b = draw_augmentation(both, 1, 0, i, 20, 30).transform;
    CHECK(a.a0 == b.a0);
    CHECK(a.b0 == b.b0);
  }
}

TEST_CASE("zoom without a width factor keeps the aspect and with one does not") {
  AugmentOptions o;
  o.zoom_height = Range::around(0.3f);
  for (int i = 0; i < 50; ++i) {
    const Transform t = draw_augmentation(o, 1, 0, i, 20, 30).transform;
    CHECK(t.a0 == t.b1);
    CHECK(t.a0 != 1);
  }
  o.zoom_width = Range::around(0.3f);
  CHECK(draw_augmentation(o, 1, 0, 1, 20, 30).transform.a0 != draw_augmentation(o, 1, 0, 1, 20, 30).transform.b1);
  o = {};
  o.translate_height = {0.25f, 0.25f};  // equal ends: always this
  CHECK(draw_augmentation(o, 1, 0, 1, 20, 30).transform.b2 == -5);
}

TEST_CASE("presets") {
  const AugmentImage nothing = draw_augmentation(augment_preset("none"), 1, 2, 3, 20, 30);
  CHECK(nothing.transform == Transform{});
  CHECK(nothing.contrast == 1);
  CHECK(nothing.brightness == 0);
  const AugmentOptions light = augment_preset("light");
  CHECK(light.flip_horizontal);
  CHECK_FALSE(light.flip_vertical);
  CHECK(light.rotation == Range{-0.03f, 0.03f});
  CHECK(light.zoom_height == Range{-0.1f, 0.1f});
  CHECK_FALSE(light.zoom_width);
  CHECK(light.contrast == Range{-0.1f, 0.1f});
  CHECK(light.brightness == Range{});
  CHECK(light.translate_height == Range{});
  for (const char* name : {"none", "light", "strong"}) CHECK_NOTHROW(check(augment_preset(name)));
  expect_error(ErrorKind::usage, {"'heavy'", "none, light or strong"}, [] { augment_preset("heavy"); });
  for (const char* name : {"reflect", "nearest", "constant", "wrap"}) CHECK_NOTHROW(parse_fill_mode(name));
  expect_error(ErrorKind::usage, {"'mirror'", "reflect, nearest, constant or wrap"}, [] { parse_fill_mode("mirror"); });
}

TEST_CASE("ranges that are not legal are named") {
  const auto bad = [](const char* name, const std::function<void(AugmentOptions&)>& spoil) {
    AugmentOptions o = augment_preset("strong");
    spoil(o);
    expect_error(ErrorKind::usage, {name}, [&] { check(o); });
  };
  bad("rotation", [](AugmentOptions& o) { o.rotation = {0.2f, 0.1f}; });
  bad("rotation", [](AugmentOptions& o) { o.rotation = {0, 1.5f}; });
  bad("zoom height", [](AugmentOptions& o) { o.zoom_height = {-1, 0}; });
  bad("zoom width", [](AugmentOptions& o) { o.zoom_width = Range{0, 2}; });
  bad("translation height", [](AugmentOptions& o) { o.translate_height = {0, std::nanf("")}; });
  bad("translation width", [](AugmentOptions& o) { o.translate_width = {-2, 0}; });
  bad("contrast", [](AugmentOptions& o) { o.contrast = {-1.5f, 0}; });
  bad("brightness", [](AugmentOptions& o) { o.brightness = {0, 2}; });
  bad("fill value", [](AugmentOptions& o) { o.fill_value = 256; });
}

}  // namespace ptrain::test
