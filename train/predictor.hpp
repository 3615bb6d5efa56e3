// defines: Predictor, class scores of many images in inference
#pragma once

#include <optional>

#include "train/base_runner.hpp"

namespace ptrain {

// What crosses the cut for a fixed list of images that are seen without augmentation: the same in every epoch, so it is computed once
// and kept when it fits the budget.
struct KeptFeatures {
  std::vector<int64_t> images;
  Boundary border;
  bool filled = false;
};

class Predictor {
 public:
  Predictor(Model& model, BaseRunner& runner, Workers& workers) : model_(model), runner_(runner), workers_(workers) {}

  // Scores before the softmax, [images, classes]. With `kept` (for these very images) the frozen part runs only the first time.
  // `progress` is told after each piece how many images are done.
  std::vector<double> logits(std::span<const int64_t> images, const ImageSource& source, KeptFeatures* kept = nullptr,
                             const std::function<void(int64_t done)>& progress = {});
  // Room for the features of `images` when they need at most `budget` bytes.
  std::optional<KeptFeatures> keep(std::vector<int64_t> images, int64_t budget) const;

 private:
  Tensor pooled(std::span<const int64_t> images, const ImageSource& source, KeptFeatures* kept, const std::function<void(int64_t)>& progress);

  Model& model_;
  BaseRunner& runner_;
  Workers& workers_;
};

}  // namespace ptrain
