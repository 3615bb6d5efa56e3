#include "train/image_source.hpp"

namespace ptrain {
namespace {

// The view's pixels as a buffer of this context's device.
void show(Context& c, const ImageView& view, const AugmentShape& shape, const AugmentImage& image, const Preprocess& preprocess, Buffer x) {
  // The operation only reads them.
  const Buffer pixels{const_cast<uint8_t*>(view.pixels), DType::uint8, view.h * view.w * view.c};
  c.backend.augment(c.exec, shape, {&image, 1}, pixels, preprocess, x);
}

}  // namespace

ImageSource plain_source(const Model& model, const ImageCache& cache) { return augmented_source(model, cache, {}, 0, 0); }

ImageSource augmented_source(const Model& model, const ImageCache& cache, const AugmentOptions& options, uint64_t seed, uint32_t epoch) {
  const bool changes = !(options == AugmentOptions{});
  return [&cache, options, seed, epoch, changes, preprocess = preprocess_of(model.preprocessing())](std::span<const int64_t> images, Context& c, Buffer x) {
    const int64_t size = x.size / int64_t(images.size());
    for (size_t i = 0; i < images.size(); ++i) {
      const ImageView view = cache.get(images[i]);
      const AugmentImage drawn = changes ? draw_augmentation(options, seed, epoch, images[i], view.h, view.w) : AugmentImage{};
      const AugmentShape shape{.n = 1, .h = view.h, .w = view.w, .c = view.c, .fill = options.fill, .fill_value = options.fill_value, .interpolation = options.interpolation};
      show(c, view, shape, drawn, preprocess, x.slice(int64_t(i) * size, size));
    }
  };
}

}  // namespace ptrain
