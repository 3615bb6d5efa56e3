// defines: test-time augmentation: what a model says of several views of an image, averaged
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "data/cache.hpp"
#include "train/predictor.hpp"

namespace ptrain {

// none: the image; flip: the image and its mirror image; shifts: these two, each also moved by 4 % of the size up, down, left and right
// (edges go on): ten views. Error{usage} for another name.
std::vector<AugmentImage> test_time_views(const std::string& name, int64_t h, int64_t w);

// Probabilities [images, classes]: for each view the softmax at the model's temperature, then their mean over the views. `progress` is
// told how many images are done, over all views.
std::vector<double> view_probabilities(const Model& model, Predictor& predictor, const ImageCache& cache, std::span<const int64_t> images,
                                       std::span<const AugmentImage> views, const std::function<void(int64_t)>& progress = {});

}  // namespace ptrain
