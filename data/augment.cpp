#include "data/augment.hpp"

#include <array>
#include <cmath>
#include <numbers>

#include "kernels/error.hpp"
#include "kernels/philox.hpp"

namespace ptrain {
namespace {

// (x, y) → (a0·x + a1·y + a2, b0·x + b1·y + b2), in double until the end.
struct Map {
  double a0 = 1, a1 = 0, a2 = 0, b0 = 0, b1 = 1, b2 = 0;
  operator Transform() const { return {float(a0), float(a1), float(a2), float(b0), float(b1), float(b2), 0, 0}; }
};

// First `inner`, then `outer`.
Map after(const Map& outer, const Map& inner) {
  return {.a0 = outer.a0 * inner.a0 + outer.a1 * inner.b0,
          .a1 = outer.a0 * inner.a1 + outer.a1 * inner.b1,
          .a2 = outer.a0 * inner.a2 + outer.a1 * inner.b2 + outer.a2,
          .b0 = outer.b0 * inner.a0 + outer.b1 * inner.b0,
          .b1 = outer.b0 * inner.a1 + outer.b1 * inner.b1,
          .b2 = outer.b0 * inner.a2 + outer.b1 * inner.b2 + outer.b2};
}

Map flip_map(bool horizontal, bool vertical, int64_t h, int64_t w) {
  Map m;
  if (horizontal) m.a0 = -1, m.a2 = double(w - 1);
  if (vertical) m.b1 = -1, m.b2 = double(h - 1);
  return m;
}

Map rotation_map(double angle, int64_t h, int64_t w) {
  const double c = std::cos(angle), s = std::sin(angle), right = double(w - 1), bottom = double(h - 1);
  return {c, -s, (right - (c * right - s * bottom)) / 2, s, c, (bottom - (s * right + c * bottom)) / 2};
}

Map zoom_map(double height, double width, int64_t h, int64_t w) {
  return {width, 0, double(w - 1) / 2 * (1 - width), 0, height, double(h - 1) / 2 * (1 - height)};
}

Map translation_map(double dy, double dx) { return {1, 0, -dx, 0, 1, -dy}; }

// The draw numbers. A run can be resumed by a later version of this program: never renumber them.
enum Draw : uint32_t { flip_horizontal, flip_vertical, rotation, zoom_height, zoom_width, translate_height, translate_width, contrast, brightness };

void check_range(const char* name, const Range& range, double low, double high) {
  if (!(range.low <= range.high && range.low >= low && range.high <= high))
    fail(ErrorKind::usage, "the augmentation range ", name, " is [", range.low, ", ", range.high, "]; it must rise and lie within [", low, ", ", high, "]");
}

}  // namespace

AugmentOptions augment_preset(const std::string& name) {
  if (name == "none") return {};
  AugmentOptions o;
  o.flip_horizontal = true;
  if (name == "light") {
    o.rotation = Range::around(0.03f);
    o.zoom_height = Range::around(0.1f);
    o.contrast = Range::around(0.1f);
    return o;
  }
  if (name == "strong") {
    o.rotation = Range::around(0.06f);
    o.zoom_height = Range::around(0.2f);
    o.zoom_width = Range::around(0.2f);
    o.translate_height = o.translate_width = Range::around(0.1f);
    o.contrast = Range::around(0.25f);
    o.brightness = Range::around(0.1f);
    return o;
  }
  fail(ErrorKind::usage, "there is no augmentation called '", name, "'; choose none, light or strong");
}

FillMode parse_fill_mode(const std::string& name) {
  if (name == "reflect") return FillMode::reflect;
  if (name == "nearest") return FillMode::nearest;
  if (name == "constant") return FillMode::constant;
  if (name == "wrap") return FillMode::wrap;
  fail(ErrorKind::usage, "there is no fill mode called '", name, "'; choose reflect, nearest, constant or wrap");
}

void check(const AugmentOptions& o) {
  constexpr double kAlmostMinusOne = -0.99;  // nothing of the image would be left to show
  check_range("rotation", o.rotation, -1, 1);
  check_range("zoom height", o.zoom_height, kAlmostMinusOne, 1);
  if (o.zoom_width) check_range("zoom width", *o.zoom_width, kAlmostMinusOne, 1);
  check_range("translation height", o.translate_height, -1, 1);
  check_range("translation width", o.translate_width, -1, 1);
  check_range("contrast", o.contrast, -1, 10);
  check_range("brightness", o.brightness, -1, 1);
  if (!(o.fill_value >= 0 && o.fill_value <= 255)) fail(ErrorKind::usage, "the fill value is ", o.fill_value, "; a grey level from 0 to 255 is wanted");
}

AugmentImage draw_augmentation(const AugmentOptions& o, uint64_t seed, uint32_t epoch, int64_t index, int64_t h, int64_t w) {
  const auto unit = [&](Draw draw) { return random_unit(seed, Purpose::augment, draw, epoch, uint32_t(index), 0); };
  const auto draw = [&](Draw number, const Range& range) {
    return range.low == range.high ? double(range.low) : range.low + (double(range.high) - range.low) * unit(number);
  };
  Warp warp;
  warp.flip_horizontal = o.flip_horizontal && unit(flip_horizontal) <= 0.5f;  // Keras flips when u ≤ 0.5
  warp.flip_vertical = o.flip_vertical && unit(flip_vertical) <= 0.5f;
  warp.angle = draw(rotation, o.rotation) * 2 * std::numbers::pi;
  warp.zoom_height = 1 + draw(zoom_height, o.zoom_height);
  warp.zoom_width = o.zoom_width ? 1 + draw(zoom_width, *o.zoom_width) : warp.zoom_height;
  warp.dy = draw(translate_height, o.translate_height) * double(h);
  warp.dx = draw(translate_width, o.translate_width) * double(w);
  return {.transform = warp_transform(warp, h, w),
          .contrast = float(1 + draw(contrast, o.contrast)),
          .brightness = float(255 * draw(brightness, o.brightness))};
}

Transform flip_transform(bool horizontal, bool vertical, int64_t h, int64_t w) { return flip_map(horizontal, vertical, h, w); }
Transform rotation_transform(double angle, int64_t h, int64_t w) { return rotation_map(angle, h, w); }
Transform zoom_transform(double height, double width, int64_t h, int64_t w) { return zoom_map(height, width, h, w); }
Transform translation_transform(double dy, double dx) { return translation_map(dy, dx); }

Transform warp_transform(const Warp& warp, int64_t h, int64_t w) {
  Map map = flip_map(warp.flip_horizontal, warp.flip_vertical, h, w);
  if (warp.angle != 0) map = after(map, rotation_map(warp.angle, h, w));
  if (warp.zoom_height != 1 || warp.zoom_width != 1) map = after(map, zoom_map(warp.zoom_height, warp.zoom_width, h, w));
  if (warp.dy != 0 || warp.dx != 0) map = after(map, translation_map(warp.dy, warp.dx));
  return map;
}

}  // namespace ptrain
