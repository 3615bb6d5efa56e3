#include "data/resize.hpp"

#include <utility>

namespace ptrain {

Resizer::Resizer(std::shared_ptr<Backend> backend) : backend_(std::move(backend)) {
  REQUIRE_THAT(!backend_ || backend_->is_host(), "images are resized in host memory; the backend ", backend_->name(), " has none");
}

Image Resizer::operator()(Image image, int64_t h, int64_t w) const {
  if (image.h == h && image.w == w) return image;
  REQUIRE_THAT(backend_, "resizing ", image.w, " by ", image.h, " to ", w, " by ", h, " needs a backend");
  REQUIRE_THAT(int64_t(image.pixels.size()) == image.h * image.w * image.c, "an image of ", image.pixels.size(), " bytes");
  std::unique_ptr<Exec> exec;
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      exec = std::move(idle_.back());
      idle_.pop_back();
    }
  }
  if (!exec) exec = backend_->make_exec(1);
  std::vector<float> values(size_t(h * w * image.c));
  backend_->resize_bilinear(*exec, {.h = image.h, .w = image.w, .c = image.c, .out_h = h, .out_w = w},
                            {image.pixels.data(), DType::uint8, int64_t(image.pixels.size())}, {values.data(), DType::float32, int64_t(values.size())});
  exec->synchronize();
  Image result{h, w, image.c, std::vector<uint8_t>(values.size())};
  for (size_t i = 0; i < values.size(); ++i) result.pixels[i] = uint8_t(values[i] + 0.5f);  // bilinear stays within 0…255
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(exec));
  return result;
}

}  // namespace ptrain
