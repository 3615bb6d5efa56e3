// defines: encode_png(), encode_jpeg(): pictures for people; the nets never read what is written here
#pragma once

#include <cstdint>
#include <vector>

#include "data/image.hpp"

namespace ptrain {

// Without loss.
std::vector<uint8_t> encode_png(const Image& image);

// Baseline, 4:2:0. quality: 1 to 100.
std::vector<uint8_t> encode_jpeg(const Image& image, int quality = 85);

}  // namespace ptrain
