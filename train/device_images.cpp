#include "train/device_images.hpp"

#include "data/free_memory.hpp"

namespace ptrain {

DeviceImages::DeviceImages(const ImageCache& cache, std::span<const int64_t> images, const std::shared_ptr<Memory>& memory,
                           int64_t budget) {
  int64_t channels = 1;
  for (const int64_t i : images) channels = std::max(channels, cache.get(i).c);  // one colour image makes all of them so
  const int64_t pixels = cache.h() * cache.w(), size = pixels * channels, bytes = int64_t(images.size()) * size;
  const std::string need = concat(images.size(), " images of ", channels == 1 ? "one byte" : "three bytes", " a pixel need ",
                                  str_bytes(bytes), "; ", str_bytes(std::max<int64_t>(budget, 0)), " are free beside the training");
  if (images.empty() || images.size() > INT32_MAX || bytes > budget) {
    text_ = concat("images: uploaded batch by batch from pinned memory; ", need);
    return;
  }
  pixels_ = Tensor({int64_t(images.size()), cache.h(), cache.w(), channels}, DType::uint8, memory);
  Backend& backend = memory->backend();
  const auto exec = backend.make_exec(1);
  std::vector<uint8_t> host(static_cast<size_t>(size));
  for (const int64_t i : images) {
    const auto [it, added] = row_of_.emplace(i, int64_t(row_of_.size()));
    if (!added) continue;
    const ImageView view = cache.get(i);
    for (int64_t k = 0; k < size; ++k) host[size_t(k)] = view.c == channels ? view.pixels[k] : view.pixels[k / channels];
    backend.upload(*exec, host.data(), pixels_.buffer().slice(it->second * size, size));
    exec->synchronize();  // the upload may read `host` until then
  }
  text_ = concat("images: in the device's memory, batches are picked there; ", need);
}

bool DeviceImages::holds(std::span<const int64_t> images) const {
  return pixels_.has_data() && std::all_of(images.begin(), images.end(), [&](int64_t i) { return row_of_.contains(i); });
}

}  // namespace ptrain
