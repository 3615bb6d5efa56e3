// defines: Resizer, an image brought to the size of a net's input
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "data/image.hpp"
#include "kernels/backend.hpp"

namespace ptrain {

// Bilinear as tf.image.resize (no antialiasing), each value rounded to the nearest grey level, halves up: at most half a level away
// from Keras, which keeps fractions. An image that has the size already is not touched. Any number of threads may call one Resizer.
class Resizer {
 public:
  explicit Resizer(std::shared_ptr<Backend> backend);  // one whose memory the host can read; without one, only images of the right size
  Image operator()(Image image, int64_t h, int64_t w) const;

 private:
  std::shared_ptr<Backend> backend_;
  mutable std::mutex mutex_;
  mutable std::vector<std::unique_ptr<Exec>> idle_;  // one for each thread that has been here at the same time
};

}  // namespace ptrain
