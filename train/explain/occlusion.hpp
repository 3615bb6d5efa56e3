// defines: occlusion_map(), where in an image a model saw a class, by covering it piece by piece
#pragma once

#include "data/cache.hpp"
#include "train/explain/heat_map.hpp"
#include "train/predictor.hpp"

namespace ptrain {

struct OcclusionOptions {
  int64_t patch = 0;   // side in pixels of the net's input; 0: a seventh of the shorter side
  int64_t stride = 0;  // 0: half the patch
};

// The upper left corners of the patches: every `stride` pixels, and the last one at the edge, so that every pixel is covered.
struct Patches {
  int64_t h = 0, w = 0, patch = 0;
  std::vector<std::pair<int64_t, int64_t>> corners;  // y, x
};
Patches patches(int64_t h, int64_t w, const OcclusionOptions& options);  // Error{usage} for a patch or stride that cannot be

// Each pixel gets the mean of the values of the patches over it.
HeatMap spread(const Patches& patches, std::span<const double> values);

// log P(class) − log P(not class): never saturates, as a probability near 1 does.
double log_odds(std::span<const double> logits, int of_class);

// Zeiler and Fergus, "Visualizing and understanding convolutional networks", ECCV 2014: by how much the log-odds of the class fall when
// a patch is painted in the image's mean grey. Positive: what is below speaks for the class; negative: against it. The image has the
// size of the net's input.
HeatMap occlusion_map(const Model& model, Predictor& predictor, const ImageView& image, int of_class, const OcclusionOptions& options = {});

}  // namespace ptrain
