// defines: Image, ImageInfo, ImageLimits, decode_image()
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

namespace ptrain {

// Pixels by rows, from the top left: pixels[(y·w + x)·c + channel], c is 1 (grey) or 3 (red, green, blue).
struct Image {
  int64_t h = 0, w = 0, c = 0;
  std::vector<uint8_t> pixels;
};

enum class ImageType : uint8_t { jpeg, png, bmp, gif };
const char* str(ImageType);  // "JPEG", …

// What a file's header says of it, before any pixel is decoded.
struct ImageInfo {
  ImageType type = ImageType::jpeg;
  int64_t h = 0, w = 0;
  int bits = 8;      // of one sample
  std::string mode;  // "grey", "grey+alpha", "RGB", "RGBA", "YCbCr", "CMYK", "YCCK", "palette"
};

// What is refused before memory is taken for it. The largest digital radiographs have 25 million pixels.
struct ImageLimits {
  int64_t side = 16384;      // pixels
  int64_t pixels = 1 << 26;  // height × width
  int64_t file_bytes = 1 << 28;
};

// The type of a file is found by its content, never by its name. What becomes of what is stored, as in tf.io.decode_image(channels=3):
//
//   JPEG grey                       one channel
//   JPEG YCbCr, RGB                 integer DCT JDCT_IFAST and smooth ("fancy") chroma, the pixels of tf.io.decode_jpeg bit for bit
//   JPEG CMYK, YCCK                 r = c·k/255 when an Adobe marker says that the values are inverted, else (255−c)(255−k)/255
//   PNG 1, 2, 4 bits                spread over 0…255; a palette becomes its colours; interlaced or not
//   PNG 16 bits                     the upper 8
//   PNG, BMP, GIF with transparency the transparency is dropped, the colour below it stays
//   GIF                             the first frame, on its background
//   BMP                             1, 4, 8, 16, 24, 32 bits, not compressed
//   any, three equal channels       kept once: c is 1
//
// Colour profiles, gamma and the orientation in EXIF are ignored, as TensorFlow ignores them. A file that is cut short or whose
// check sums are wrong is an error, never half a picture. Every error is Error{data} and says which file, what was found, what was
// wanted and what to do. Any number of threads may decode at the same time.
Image decode_image(const std::filesystem::path& path, const ImageLimits& limits = {});
Image decode_image(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits = {});  // `name` is for messages

// Reads the header alone, with the same limits and the same errors.
ImageInfo inspect_image(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits = {});

}  // namespace ptrain
