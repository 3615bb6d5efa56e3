#include "data/image.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "data/file.hpp"
#include "data/image_formats.hpp"

namespace ptrain {
namespace {

using namespace std::string_view_literals;

bool begins(std::span<const uint8_t> bytes, std::string_view with, size_t at = 0) {
  return bytes.size() >= at + with.size() && std::memcmp(bytes.data() + at, with.data(), with.size()) == 0;
}

// What the content of a file that is no image looks like, for the message.
std::string describe(std::span<const uint8_t> bytes) {
  if (bytes.empty()) return "the file is empty";
  if (begins(bytes, "RIFF") && begins(bytes, "WEBP", 8)) return "this is a WebP image";
  if (begins(bytes, "II*\0"sv) || begins(bytes, "MM\0*"sv)) return "this is a TIFF image";
  if (begins(bytes, "DICM", 128)) return "this is a DICOM file";
  if (begins(bytes, "ftyp", 4)) return "this is a HEIC or AVIF image or a film";
  if (begins(bytes, "%PDF")) return "this is a PDF document";
  if (begins(bytes, "PK\3\4")) return "this is a zip archive";
  const auto head = bytes.first(std::min<size_t>(bytes.size(), 64));
  const bool text = std::all_of(head.begin(), head.end(), [](uint8_t b) { return b >= 0x20 || b == '\n' || b == '\r' || b == '\t'; });
  if (text) return "this is text, not an image";
  return "the content is not an image of a known type";
}

ImageType type_of(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  if (int64_t(bytes.size()) > limits.file_bytes)
    refuse_image(name, "the file has ", bytes.size(), " bytes, the limit is ", limits.file_bytes, "; make it smaller or remove it");
  if (begins(bytes, "\xff\xd8\xff")) return ImageType::jpeg;
  if (begins(bytes, "\x89PNG\r\n\x1a\n")) return ImageType::png;
  if (begins(bytes, "GIF87a") || begins(bytes, "GIF89a")) return ImageType::gif;
  if (begins(bytes, "BM") && bytes.size() >= 18 && begins(bytes, "\0\0\0"sv, 15)) return ImageType::bmp;  // a header shorter than 256 bytes
  refuse_image(name, describe(bytes), "; a JPEG, PNG, BMP or GIF is wanted; convert the file or remove it");
}

// One channel where the three are equal.
void drop_equal_channels(Image& image) {
  if (image.c != 3) return;
  uint8_t* p = image.pixels.data();
  const size_t n = size_t(image.h * image.w);
  for (size_t i = 0; i < n; ++i)
    if (p[3 * i] != p[3 * i + 1] || p[3 * i] != p[3 * i + 2]) return;
  for (size_t i = 0; i < n; ++i) p[i] = p[3 * i];
  image.c = 1;
  image.pixels.resize(n);
  image.pixels.shrink_to_fit();
}

}  // namespace

const char* str(ImageType type) {
  switch (type) {
    case ImageType::jpeg: return "JPEG";
    case ImageType::png: return "PNG";
    case ImageType::bmp: return "BMP";
    case ImageType::gif: return "GIF";
  }
  return "?";
}

void check_size(const std::string& name, int64_t h, int64_t w, const ImageLimits& limits, int64_t file_bytes, int64_t most_pixels_a_byte) {
  if (h < 1 || w < 1) refuse_image(name, "the header says ", w, " by ", h, " pixels; at least 1 by 1 is wanted; remove the file");
  // Sides are below 2^31 (or refused here), so that the product fits.
  if (h > limits.side || w > limits.side || h * w > limits.pixels)
    refuse_image(name, "the header says ", w, " by ", h, " pixels; the limit is ", limits.side, " a side and ", limits.pixels,
                 " in all; make the image smaller or remove it");
  if (h * w / most_pixels_a_byte > file_bytes)
    refuse_image(name, "the header says ", w, " by ", h, " pixels, more than a file of ", file_bytes, " bytes can hold; remove it");
}

ImageInfo inspect_image(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  switch (type_of(bytes, name, limits)) {
    case ImageType::jpeg: return inspect_jpeg(bytes, name, limits);
    case ImageType::png: return inspect_png(bytes, name, limits);
    case ImageType::bmp: return inspect_bmp(bytes, name, limits);
    case ImageType::gif: return inspect_gif(bytes, name, limits);
  }
  fail(ErrorKind::failed, "no such image type");
}

Image decode_image(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  const bool jpeg = type_of(bytes, name, limits) == ImageType::jpeg;
  Image image = jpeg ? decode_jpeg(bytes, name, limits) : decode_stb(bytes, name, inspect_image(bytes, name, limits));
  drop_equal_channels(image);
  return image;
}

Image decode_image(const std::filesystem::path& path, const ImageLimits& limits) {
  return decode_image(read_bytes(path, "decoding", limits.file_bytes), path.string(), limits);
}

}  // namespace ptrain
