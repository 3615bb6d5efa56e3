#include "train/test_time.hpp"

#include <cmath>

#include "data/augment.hpp"
#include "train/calibration.hpp"
#include "train/image_source.hpp"

namespace ptrain {

std::vector<AugmentImage> test_time_views(const std::string& name, int64_t h, int64_t w) {
  constexpr double kShift = 0.04;
  if (name != "none" && name != "flip" && name != "shifts") fail(ErrorKind::usage, "--tta ", name, ": known are none, flip, shifts");
  std::vector<AugmentImage> views{{}};
  if (name == "none") return views;
  const double dy = std::round(kShift * double(h)), dx = std::round(kShift * double(w));
  for (const bool flip : {false, true}) {
    if (flip) views.push_back({.transform = flip_transform(true, false, h, w)});
    if (name == "flip") continue;
    for (const auto& [y, x] : {std::pair(-dy, 0.0), std::pair(dy, 0.0), std::pair(0.0, -dx), std::pair(0.0, dx)})
      views.push_back({.transform = warp_transform({.flip_horizontal = flip, .dy = y, .dx = x}, h, w)});
  }
  return views;
}

std::vector<double> view_probabilities(const Model& model, Predictor& predictor, const ImageCache& cache, std::span<const int64_t> images,
                                       std::span<const AugmentImage> views, const std::function<void(int64_t)>& progress) {
  const int classes = int(model.spec.classes.size());
  std::vector<double> mean(images.size() * size_t(classes));
  int64_t before = 0;
  for (const AugmentImage& seen : views) {
    const ImageSource source = shown_source(model, {.fill = FillMode::nearest}, [&](int64_t i) { return Shown{cache.get(i), seen}; });
    const std::vector<double> logits = predictor.logits(images, source, nullptr, [&](int64_t done) {
      if (progress) progress(before + done);
    });
    const std::vector<double> p = apply_temperature(logits, classes, model.spec.temperature);
    for (size_t i = 0; i < p.size(); ++i) mean[i] += p[i] / double(views.size());
    before += int64_t(images.size());
  }
  return mean;
}

}  // namespace ptrain
