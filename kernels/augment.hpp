// defines: what the augmentation of a batch needs: one AugmentImage an image (drawn by the host), AugmentShape, Preprocess
#pragma once

#include <cstdint>

namespace ptrain {

enum class FillMode : uint8_t { reflect, nearest, constant, wrap };  // Keras' names: what lies outside the image
enum class Interpolation : uint8_t { bilinear, nearest };

// Output pixel (x, y) shows the input at ((a0·x + a1·y + a2)/k, (b0·x + b1·y + b2)/k), k = c0·x + c1·y + 1: the eight numbers of Keras.
struct Transform {
  float a0 = 1, a1 = 0, a2 = 0, b0 = 0, b1 = 1, b2 = 0, c0 = 0, c1 = 0;
  bool operator==(const Transform&) const = default;
};

// One image of a batch. Order: warp, contrast, brightness, the net's preprocessing.
struct AugmentImage {
  Transform transform;
  float contrast = 1;    // clip((v − m)·contrast + m, 0, 255), m the mean of the warped image's channel; 1 leaves it out
  float brightness = 0;  // clip(v + brightness, 0, 255), in grey levels; 0 leaves it out
  int32_t stored = 0;    // which of the stored images it shows, where AugmentShape::stored says how many there are
};

// n uint8 images h×w with c = 1 or 3 stored channels; the output has three. With `stored` x holds so many images, of which the batch shows
// some; else it holds the n of the batch, in order.
struct AugmentShape {
  int64_t n = 0, h = 0, w = 0, c = 3;
  FillMode fill = FillMode::reflect;
  float fill_value = 0;
  Interpolation interpolation = Interpolation::bilinear;
  int64_t stored = 0;

  constexpr int64_t source(int64_t image, const AugmentImage& by) const { return stored > 0 ? by.stored : image; }
};

// What a net wants its pixels to be: y[c] = v[bgr ? 2 − c : c] · scale[c] + shift[c].
struct Preprocess {
  float scale[3] = {1, 1, 1};
  float shift[3] = {0, 0, 0};
  bool bgr = false;
};

}  // namespace ptrain
