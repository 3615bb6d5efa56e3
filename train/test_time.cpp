#include "train/test_time.hpp"

#include <cmath>

#include "data/augment.hpp"
#include "train/calibration.hpp"

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
  for (const AugmentImage& seen : views) {
    const ImageSource source = [&](std::span<const int64_t> which, Context& c, Buffer x) {
      const int64_t size = x.size / int64_t(which.size());
      for (size_t i = 0; i < which.size(); ++i) {
        const ImageView view = cache.get(which[i]);
        const AugmentShape shape{.n = 1, .h = view.h, .w = view.w, .c = view.c, .fill = FillMode::nearest};
        // The operation only reads the pixels.
        const Buffer pixels{const_cast<uint8_t*>(view.pixels), DType::uint8, view.h * view.w * view.c};
        c.backend.augment(c.exec, shape, {&seen, 1}, pixels, preprocess_of(model.net().preprocess), x.slice(int64_t(i) * size, size));
      }
    };
    const std::vector<double> p = apply_temperature(predictor.logits(images, source, nullptr, progress), classes, model.spec.temperature);
    for (size_t i = 0; i < p.size(); ++i) mean[i] += p[i] / double(views.size());
  }
  return mean;
}

}  // namespace ptrain
