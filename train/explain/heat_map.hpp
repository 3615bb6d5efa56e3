// defines: HeatMap, a number for each place of an image; how it is shown
#pragma once

#include <cstdint>
#include <vector>

#include "data/image.hpp"

namespace ptrain {

struct HeatMap {
  int64_t h = 0, w = 0;
  std::vector<double> values;  // by rows

  double largest() const;  // 0 when no value is positive
};

// Bilinear, with the pixel centres of tf.image.resize; beyond the outermost centres the edge goes on.
HeatMap resized(const HeatMap& map, int64_t h, int64_t w);

// A colour of viridis (Smith and van der Walt, 2015), which is perceptually uniform, reads the same for all kinds of colour blindness
// and stays in order in grey. t is cut to [0, 1].
struct Rgb {
  uint8_t r = 0, g = 0, b = 0;
};
Rgb viridis(double t);

// The image in grey with the map over it: each value as a share of the map's largest, coloured by viridis and the more opaque the
// larger it is, so that the film stays visible where there is nothing to see. The map is resized to the image. Values ≤ 0 colour nothing.
Image overlay(const Image& image, const HeatMap& map, double opacity = 0.65);

}  // namespace ptrain
