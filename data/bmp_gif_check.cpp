// Looks at the headers and the lengths of BMP and GIF files before stb_image decodes them: it takes zeros for what is missing.
#include <cstring>

#include "data/image_formats.hpp"

namespace ptrain {
namespace {

// Reads little-endian numbers; past the end of the file it throws.
class Reader {
 public:
  Reader(std::span<const uint8_t> bytes, const std::string& name, const char* type) : bytes_(bytes), name_(name), type_(type) {}
  int64_t number(size_t size) {
    need(size);
    int64_t v = 0;
    for (size_t i = 0; i < size; ++i) v |= int64_t(bytes_[at_ + i]) << (8 * i);
    at_ += size;
    return v;
  }
  void skip(size_t size) {
    need(size);
    at_ += size;
  }
  void need(size_t size) const {
    if (size > bytes_.size() - at_)
      refuse_image(name_, "the ", type_, " file is cut short: it has ", bytes_.size(), " bytes and at least ", at_ + size,
                   " are wanted; get the file again or remove it");
  }
  size_t at() const { return at_; }

 private:
  std::span<const uint8_t> bytes_;
  const std::string& name_;
  const char* type_;
  size_t at_ = 0;
};

}  // namespace

ImageInfo inspect_bmp(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  Reader r(bytes, name, "BMP");
  r.skip(10);
  const int64_t offset = r.number(4), header = r.number(4);
  int64_t w, h;
  if (header == 12) {  // the OS/2 header
    w = r.number(2), h = r.number(2);
  } else {
    w = int32_t(r.number(4)), h = int32_t(r.number(4));
  }
  r.skip(2);
  const int64_t bits = r.number(2), compression = header == 12 ? 0 : r.number(4);
  if (h < 0) h = -h;  // rows from the top
  if (compression == 1 || compression == 2)
    refuse_image(name, "a BMP compressed by run lengths; an uncompressed BMP is wanted; save the picture as PNG");
  if (bits < 1 || bits > 32) refuse_image(name, "a BMP of ", bits, " bits a pixel; 1 to 32 are wanted; save the picture as PNG");
  check_size(name, h, w, limits, int64_t(bytes.size()), 8);
  const int64_t row = (w * bits + 31) / 32 * 4;
  if (offset + row * h > int64_t(bytes.size()) + 3)  // some writers leave out the padding of the last row
    refuse_image(name, "the BMP file is cut short: it has ", bytes.size(), " bytes and ", offset + row * h, " are wanted; get the file again or remove it");
  return {ImageType::bmp, h, w, bits > 8 ? 8 : int(bits), bits <= 8 ? "palette" : bits == 32 ? "RGBA" : "RGB"};
}

ImageInfo inspect_gif(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  // A code of twelve bits stands for at most 4,096 pixels.
  constexpr int64_t kMostPixelsAByte = 4096;
  Reader r(bytes, name, "GIF");
  r.skip(6);
  const int64_t w = r.number(2), h = r.number(2), flags = r.number(1);
  check_size(name, h, w, limits, int64_t(bytes.size()), kMostPixelsAByte);
  const auto skip_palette = [&](int64_t packed) {
    if (packed & 0x80) r.skip(size_t(3) << ((packed & 7) + 1));
  };
  const auto skip_blocks = [&] {
    while (const int64_t length = r.number(1)) r.skip(size_t(length));
  };
  r.skip(2);
  skip_palette(flags);
  for (;;) {
    const int64_t block = r.number(1);
    if (block == 0x21) {  // an extension
      r.skip(1);
      skip_blocks();
    } else if (block == 0x2c) {  // a frame: the first one is the picture
      r.skip(8);
      skip_palette(r.number(1));
      r.skip(1);
      skip_blocks();
      return {ImageType::gif, h, w, 8, "palette"};
    } else {
      refuse_image(name, "the GIF file holds no picture: byte ", r.at() - 1, " is ", block, "; get the file again or remove it");
    }
  }
}

}  // namespace ptrain
