// defines: preprocess_of(), the three ways in which Keras' applications want their pixels
#pragma once

#include <string_view>

#include "kernels/augment.hpp"
#include "kernels/error.hpp"

namespace ptrain {

// From grey levels 0…255 in the order red, green, blue (keras/src/applications/imagenet_utils.py):
//   caffe  blue, green, red, each minus its ImageNet mean: VGG16, ResNet50
//   tf     v/127.5 − 1: MobileNetV2, InceptionV3
//   torch  (v/255 − mean)/deviation of each channel: DenseNet121
// Any other name is Error{failed}: the name comes from the table of nets or from a model file that was checked.
inline Preprocess preprocess_of(std::string_view mode) {
  if (mode == "caffe") return {.scale = {1, 1, 1}, .shift = {-103.939f, -116.779f, -123.68f}, .bgr = true};
  if (mode == "tf") return {.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -1, -1}};
  if (mode == "torch") {
    constexpr double kMean[3] = {0.485, 0.456, 0.406}, kDeviation[3] = {0.229, 0.224, 0.225};
    Preprocess p;
    for (int c = 0; c < 3; ++c) p.scale[c] = float(1 / (255 * kDeviation[c])), p.shift[c] = float(-kMean[c] / kDeviation[c]);
    return p;
  }
  fail(ErrorKind::failed, "no preprocessing is called '", mode, "'; there are caffe, tf and torch");
}

}  // namespace ptrain
