// defines: the sources that feed a base with images of a cache
#pragma once

#include "data/augment.hpp"
#include "data/cache.hpp"
#include "train/base_runner.hpp"
#include "train/device_images.hpp"

namespace ptrain {

// The images as they are, preprocessed for the model's net. The cache must outlive the source, and so must `stored`, where the images may
// lie on the device already.
ImageSource plain_source(const Model& model, const ImageCache& cache, const DeviceImages* stored = nullptr);

// Augmented by draws of (seed, epoch, index of the image) alone.
ImageSource augmented_source(const Model& model, const ImageCache& cache, const AugmentOptions& options, uint64_t seed, uint32_t epoch,
                             const DeviceImages* stored = nullptr);

// Any image on the host, drawn as it says. `show` is called by several threads; of `options` only fill and interpolation count.
struct Shown {
  ImageView view;
  AugmentImage drawn;
};
ImageSource shown_source(const Model& model, const AugmentOptions& options, std::function<Shown(int64_t image)> show);

}  // namespace ptrain
