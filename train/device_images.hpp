// defines: DeviceImages, the images of a cache as bytes in the memory of a device
#pragma once

#include <span>
#include <string>
#include <unordered_map>

#include "data/cache.hpp"
#include "tensor/tensor.hpp"

namespace ptrain {

// All or nothing: where the images need at most `budget` bytes they are uploaded once, and a batch is picked on the device; else they stay
// on the host, and each batch is uploaded. What is picked is what would have been uploaded, so no result depends on it.
class DeviceImages {
 public:
  DeviceImages(const ImageCache& cache, std::span<const int64_t> images, const std::shared_ptr<Memory>& memory, int64_t budget);

  bool holds(std::span<const int64_t> images) const;
  int32_t row(int64_t image) const { return int32_t(row_of_.at(image)); }  // of pixels()
  const Tensor& pixels() const { return pixels_; }                         // uint8 [rows, h, w, channels]; undefined when they did not fit
  std::string describe() const { return text_; }                           // one line for the user

 private:
  std::unordered_map<int64_t, int64_t> row_of_;
  Tensor pixels_;
  std::string text_;
};

}  // namespace ptrain
