#include "train/explain/heat_map.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/error.hpp"

namespace ptrain {

double HeatMap::largest() const {
  double top = 0;
  for (const double v : values) top = std::max(top, v);
  return top;
}

HeatMap resized(const HeatMap& map, int64_t h, int64_t w) {
  REQUIRE_THAT(map.h > 0 && map.w > 0 && h > 0 && w > 0 && int64_t(map.values.size()) == map.h * map.w, "a heat map of ", map.w, " by ",
               map.h, " with ", map.values.size(), " values cannot become ", w, " by ", h);
  HeatMap out{h, w, std::vector<double>(size_t(h * w))};
  const auto place = [](int64_t i, int64_t from, int64_t to) {
    return std::clamp((double(i) + 0.5) * double(from) / double(to) - 0.5, 0.0, double(from - 1));
  };
  for (int64_t y = 0; y < h; ++y) {
    const double fy = place(y, map.h, h);
    const int64_t y0 = int64_t(fy), y1 = std::min(y0 + 1, map.h - 1);
    for (int64_t x = 0; x < w; ++x) {
      const double fx = place(x, map.w, w);
      const int64_t x0 = int64_t(fx), x1 = std::min(x0 + 1, map.w - 1);
      const auto at = [&](int64_t r, int64_t c) { return map.values[size_t(r * map.w + c)]; };
      const double upper = std::lerp(at(y0, x0), at(y0, x1), fx - double(x0)), lower = std::lerp(at(y1, x0), at(y1, x1), fx - double(x0));
      out.values[size_t(y * w + x)] = std::lerp(upper, lower, fy - double(y0));
    }
  }
  return out;
}

Rgb viridis(double t) {
  // Nine colours of the map at equal distances; between them straight lines, at most 2 levels away from the full table.
  static constexpr Rgb kStops[] = {{68, 1, 84},    {71, 45, 123}, {59, 82, 139},  {44, 114, 142}, {33, 145, 140},
                                   {40, 174, 128}, {94, 201, 98}, {173, 220, 48}, {253, 231, 37}};
  constexpr int kParts = int(std::size(kStops)) - 1;
  const double place = std::clamp(std::isfinite(t) ? t : 0.0, 0.0, 1.0) * kParts;
  const int i = std::min(int(place), kParts - 1);
  const auto mix = [&](uint8_t a, uint8_t b) { return uint8_t(std::lround(std::lerp(double(a), double(b), place - i))); };
  return {mix(kStops[i].r, kStops[i + 1].r), mix(kStops[i].g, kStops[i + 1].g), mix(kStops[i].b, kStops[i + 1].b)};
}

Image overlay(const Image& image, const HeatMap& map, double opacity) {
  const HeatMap heat = resized(map, image.h, image.w);
  const double top = heat.largest();
  Image out{image.h, image.w, 3, std::vector<uint8_t>(size_t(image.h * image.w * 3))};
  for (size_t i = 0; i < heat.values.size(); ++i) {
    const uint8_t* p = image.pixels.data() + i * size_t(image.c);
    const double grey = image.c == 1 ? p[0] : 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    const double t = top > 0 ? std::clamp(heat.values[i] / top, 0.0, 1.0) : 0;
    const Rgb colour = viridis(t);
    const double alpha = opacity * std::pow(t, 0.75);
    const uint8_t channels[3] = {colour.r, colour.g, colour.b};
    for (size_t c = 0; c < 3; ++c) out.pixels[i * 3 + c] = uint8_t(std::lround(std::lerp(grey, double(channels[c]), alpha)));
  }
  return out;
}

}  // namespace ptrain
