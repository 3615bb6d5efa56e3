// defines: AugmentOptions, draw_augmentation(), and the transforms that they are made of
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "kernels/augment.hpp"

namespace ptrain {

// A number is drawn between the two; equal ends are no draw at all.
struct Range {
  float low = 0, high = 0;
  static Range around(float f) { return {-f, f}; }  // what a single number means to Keras
  bool operator==(const Range&) const = default;
};

// What may happen to a training image, as fractions in the sense of Keras' layers. The default does nothing.
struct AugmentOptions {
  bool flip_horizontal = false, flip_vertical = false;  // RandomFlip: each in half of the images
  Range rotation;                                       // RandomRotation: of a full turn, positive is counter-clockwise; within [−1, 1]
  Range zoom_height;                                    // RandomZoom: the output shows 1 + u times the height; above −1, up to 1
  std::optional<Range> zoom_width;                      // without it the width has the height's draw (Keras' width_factor=None)
  Range translate_height, translate_width;              // RandomTranslation: of the size, positive moves down or right; within [−1, 1]
  Range contrast;                                       // RandomContrast, as its documentation says: the factor is 1 + u; u ≥ −1
  Range brightness;                                     // RandomBrightness: of 255; within [−1, 1]
  FillMode fill = FillMode::reflect;
  float fill_value = 0;  // for FillMode::constant, in grey levels
  Interpolation interpolation = Interpolation::bilinear;
  bool operator==(const AugmentOptions&) const = default;
};

// none; light: horizontal flip, rotation 0.03, zoom 0.1, contrast 0.1; strong: horizontal flip, rotation 0.06, zoom 0.2 in each
// direction, translation 0.1, contrast 0.25, brightness 0.1. Another name is Error{usage}.
AugmentOptions augment_preset(const std::string& name);
FillMode parse_fill_mode(const std::string& name);  // reflect, nearest, constant, wrap; else Error{usage}

// Throws Error{usage} that names the range which is not legal.
void check(const AugmentOptions&);

// The numbers of one image in one epoch, from (seed, epoch, its index in the manifest) alone, so that they depend on no thread, batch or
// resume. Each transform has a draw number of its own: turning one on does not move the others.
AugmentImage draw_augmentation(const AugmentOptions&, uint64_t seed, uint32_t epoch, int64_t index, int64_t h, int64_t w);

// The transforms of Keras' layers for an image of h×w; each maps a pixel of the output to its place in the input.
Transform flip_transform(bool horizontal, bool vertical, int64_t h, int64_t w);
Transform rotation_transform(double angle, int64_t h, int64_t w);             // radians, about the centre ((w−1)/2, (h−1)/2)
Transform zoom_transform(double height, double width, int64_t h, int64_t w);  // about the centre; above 1 shows more
Transform translation_transform(double dy, double dx);                        // pixels, down and right

// What Keras' layers flip → rotation → zoom → translation show, in one resampling: the output pixel goes through the maps from the last
// to the first.
struct Warp {
  bool flip_horizontal = false, flip_vertical = false;
  double angle = 0, zoom_height = 1, zoom_width = 1, dy = 0, dx = 0;
};
Transform warp_transform(const Warp&, int64_t h, int64_t w);

}  // namespace ptrain
