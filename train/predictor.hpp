// defines: Predictor, class scores of many images in inference
#pragma once

#include "train/feature_store.hpp"

namespace ptrain {

class Predictor {
 public:
  Predictor(Model& model, BaseRunner& runner, Workers& workers) : model_(model), runner_(runner), workers_(workers) {}

  // Scores before the softmax, [images, classes]. With a store that has room for these images the frozen part runs only for those that it
  // has not seen. `progress` is told after each piece how many images are done.
  std::vector<double> logits(std::span<const int64_t> images, const ImageSource& source, FeatureStore* store = nullptr,
                             const std::function<void(int64_t done)>& progress = {});

 private:
  Tensor pooled(std::span<const int64_t> images, const ImageSource& source, FeatureStore* store,
                const std::function<void(int64_t)>& progress);

  Model& model_;
  BaseRunner& runner_;
  Workers& workers_;
};

}  // namespace ptrain
