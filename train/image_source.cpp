#include "train/image_source.hpp"

#include <mutex>

namespace ptrain {
namespace {

struct Drawing {
  AugmentOptions options;
  Preprocess preprocess;

  AugmentShape shape(const ImageView& view, int64_t n) const {
    return {.n = n,
            .h = view.h,
            .w = view.w,
            .c = view.c,
            .fill = options.fill,
            .fill_value = options.fill_value,
            .interpolation = options.interpolation};
  }
};

// From the cache where it lies: the device reads host memory.
void show_from_host(Context& c, std::span<const Shown> images, const Drawing& how, Buffer x) {
  const int64_t size = x.size / int64_t(images.size());
  for (size_t i = 0; i < images.size(); ++i) {
    const ImageView& view = images[i].view;
    // The operation only reads the pixels.
    const Buffer pixels{const_cast<uint8_t*>(view.pixels), DType::uint8, view.h * view.w * view.c};
    c.backend.augment(c.exec, how.shape(view, 1), {&images[i].drawn, 1}, pixels, how.preprocess, x.slice(int64_t(i) * size, size));
  }
}

// Pixels on their way to a device. An upload may still read a buffer after the call, so it is used again only after as many batches as
// there are buffers, and not before the device has caught up.
class Staging {
 public:
  std::vector<uint8_t>& next(Exec& exec) {
    const std::lock_guard lock(mutex_);
    if (turn_ > 0 && turn_ % kBuffers == 0) exec.synchronize();
    return buffers_[turn_++ % kBuffers];
  }

 private:
  static constexpr size_t kBuffers = 4;
  std::mutex mutex_;
  size_t turn_ = 0;
  std::vector<uint8_t> buffers_[kBuffers];
};

// A whole batch in one upload and one launch. A batch that mixes grey and colour images goes up in colour.
void show_on_device(Context& c, std::span<const Shown> images, const Drawing& how, Staging& staging, const std::shared_ptr<Memory>& memory,
                    Buffer x) {
  ImageView first = images[0].view;
  for (const Shown& s : images) first.c = std::max(first.c, s.view.c);
  const int64_t n = int64_t(images.size()), pixels = first.h * first.w, size = pixels * first.c;
  std::vector<uint8_t>& host = staging.next(c.exec);
  host.resize(size_t(n * size));
  std::vector<AugmentImage> drawn;
  for (int64_t i = 0; i < n; ++i) {
    const ImageView& view = images[size_t(i)].view;
    uint8_t* to = host.data() + i * size;
    if (view.c == first.c) std::copy(view.pixels, view.pixels + size, to);
    else
      for (int64_t k = 0; k < size; ++k) to[k] = view.pixels[k / first.c];
    drawn.push_back(images[size_t(i)].drawn);
  }
  const Tensor bytes({n * size}, DType::uint8, memory);  // not the pass's own, whose plan does not know how many channels come
  c.backend.upload(c.exec, host.data(), bytes.buffer());
  c.backend.augment(c.exec, how.shape(first, n), drawn, bytes.buffer(), how.preprocess, x);
}

// Picked from those that lie on the device.
void show_stored(Context& c, std::span<const int64_t> images, const DeviceImages& stored, std::vector<AugmentImage> drawn,
                 const Drawing& how, Buffer x) {
  const Tensor& pixels = stored.pixels();
  for (size_t i = 0; i < images.size(); ++i) drawn[i].stored = stored.row(images[i]);
  AugmentShape shape = how.shape({.h = pixels.dim(1), .w = pixels.dim(2), .c = pixels.dim(3), .owner = {}}, int64_t(images.size()));
  shape.stored = pixels.dim(0);
  c.backend.augment(c.exec, shape, drawn, pixels.buffer(), how.preprocess, x);
}

}  // namespace

ImageSource plain_source(const Model& model, const ImageCache& cache, const DeviceImages* stored) {
  return augmented_source(model, cache, {}, 0, 0, stored);
}

ImageSource augmented_source(const Model& model, const ImageCache& cache, const AugmentOptions& options, uint64_t seed, uint32_t epoch,
                             const DeviceImages* stored) {
  const bool changes = !(options == AugmentOptions{});
  const auto draw = [&cache, options, seed, epoch, changes](int64_t i) {
    return changes ? draw_augmentation(options, seed, epoch, i, cache.h(), cache.w()) : AugmentImage{};
  };
  const ImageSource uploaded = shown_source(model, options, [&cache, draw](int64_t i) { return Shown{cache.get(i), draw(i)}; });
  if (!stored) return uploaded;
  const Drawing how{options, preprocess_of(model.preprocessing())};
  return [uploaded, draw, how, stored](std::span<const int64_t> images, Context& c, Buffer x) {
    if (c.memory->device().kind == DeviceKind::meta || !stored->holds(images)) return uploaded(images, c, x);
    std::vector<AugmentImage> drawn;
    for (const int64_t i : images) drawn.push_back(draw(i));
    show_stored(c, images, *stored, std::move(drawn), how, x);
  };
}

ImageSource shown_source(const Model& model, const AugmentOptions& options, std::function<Shown(int64_t image)> show) {
  const Drawing how{options, preprocess_of(model.preprocessing())};
  return [how, show = std::move(show), memory = model.memory(), staging = std::make_shared<Staging>()](std::span<const int64_t> images,
                                                                                                       Context& c, Buffer x) {
    std::vector<Shown> shown;
    for (const int64_t i : images) shown.push_back(show(i));
    if (memory->backend().is_host()) show_from_host(c, shown, how, x);
    else if (c.memory->device().kind != DeviceKind::meta) show_on_device(c, shown, how, *staging, memory, x);
  };
}

}  // namespace ptrain
