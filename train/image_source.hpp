// defines: the sources that feed a base with images of a cache
#pragma once

#include "data/augment.hpp"
#include "data/cache.hpp"
#include "train/base_runner.hpp"

namespace ptrain {

// The images as they are, preprocessed for the model's net. The cache must outlive the source.
ImageSource plain_source(const Model& model, const ImageCache& cache);

// Where the pixels of an image are; called by several threads.
using ImageViews = std::function<ImageView(int64_t index)>;

// Augmented by draws of (seed, epoch, index of the image) alone.
ImageSource augmented_source(const Model& model, const ImageCache& cache, const AugmentOptions& options, uint64_t seed, uint32_t epoch);
ImageSource augmented_source(const Model& model, ImageViews views, const AugmentOptions& options, uint64_t seed, uint32_t epoch);

}  // namespace ptrain
