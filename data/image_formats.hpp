// defines: the decoders behind decode_image(), one a file type, and the errors that they share
#pragma once

#include "data/image.hpp"
#include "kernels/error.hpp"

namespace ptrain {

// Error{data}: "decoding NAME: WHY".
template <class... Parts>
[[noreturn]] void refuse_image(const std::string& name, const Parts&... why) {
  fail(ErrorKind::data, "decoding ", name, ": ", why...);
}

// Throws unless the size that a header claims is within the limits. `most_pixels_a_byte` is what the format's best compression
// could reach: a header that claims more than the file can hold is refused before memory is taken.
void check_size(const std::string& name, int64_t h, int64_t w, const ImageLimits&, int64_t file_bytes, int64_t most_pixels_a_byte);

// jpeg.cpp (libjpeg-turbo)
ImageInfo inspect_jpeg(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits&);
Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits&);

// The headers and the frames of the other types: these throw when the file is not complete (stb_image would go on with zeros).
ImageInfo inspect_png(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits&);  // png_check.cpp
ImageInfo inspect_bmp(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits&);  // bmp_gif_check.cpp
ImageInfo inspect_gif(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits&);

// stb.cpp: PNG, BMP, GIF whose header was inspected; transparency dropped.
Image decode_stb(std::span<const uint8_t> bytes, const std::string& name, const ImageInfo&);

}  // namespace ptrain
