// Walks over the chunks of a PNG file before stb_image decodes it. stb_image ignores check sums and takes zeros for what is missing.
#include <array>
#include <cstring>

#include "data/image_formats.hpp"

namespace ptrain {
namespace {

// Deflate at its best stores 258 bytes in two bits; with one bit a pixel each of these bytes is eight pixels.
constexpr int64_t kMostPixelsAByte = 1032 * 8;

// CRC-32 as in zip and PNG (ISO 3309, reflected polynomial 0xedb88320).
uint32_t crc32(std::span<const uint8_t> bytes) {
  static constexpr auto table = [] {
    std::array<uint32_t, 256> t{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t v = i;
      for (int bit = 0; bit < 8; ++bit) v = v >> 1 ^ (v & 1 ? 0xedb88320u : 0);
      t[i] = v;
    }
    return t;
  }();
  uint32_t crc = ~0u;
  for (uint8_t byte : bytes) crc = table[(crc ^ byte) & 0xff] ^ crc >> 8;
  return ~crc;
}

uint32_t big_endian(const uint8_t* b) { return uint32_t(b[0]) << 24 | uint32_t(b[1]) << 16 | uint32_t(b[2]) << 8 | b[3]; }

}  // namespace

ImageInfo inspect_png(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  constexpr const char* kAdvice = "; a complete PNG is wanted; get the file again or remove it";
  constexpr size_t kSignature = 8, kFrame = 12;  // a chunk is its length, its name, its data, its check sum
  ImageInfo info{ImageType::png, 0, 0, 0, ""};
  bool pixels = false, end = false;
  for (size_t at = kSignature; !end;) {
    const bool first = at == kSignature;
    if (bytes.size() - at < kFrame) refuse_image(name, "the PNG file ends after ", bytes.size(), " bytes, before its end mark", kAdvice);
    const uint8_t* chunk = bytes.data() + at;
    const size_t length = big_endian(chunk);
    const auto is = [&](const char* type) { return std::memcmp(chunk + 4, type, 4) == 0; };
    if (length > bytes.size() - at - kFrame) refuse_image(name, "the PNG file ends inside a block of ", length, " bytes at byte ", at, kAdvice);
    if (first && !(is("IHDR") && length == 13)) refuse_image(name, "the PNG file does not begin with its header", kAdvice);
    const bool critical = !(chunk[4] & 0x20);  // a capital first letter: the picture depends on it
    if (critical && !is("IHDR") && !is("PLTE") && !is("IDAT") && !is("IEND"))
      refuse_image(name, "the PNG block at byte ", at, " is of a kind that no standard names", kAdvice);
    if (critical && crc32({chunk + 4, length + 4}) != big_endian(chunk + 8 + length))
      refuse_image(name, "the PNG block at byte ", at, " is damaged: its check sum is wrong", kAdvice);
    if (first) {
      const uint8_t* header = chunk + 8;
      info.w = big_endian(header), info.h = big_endian(header + 4), info.bits = header[8];
      constexpr const char* kModes[] = {"grey", "", "RGB", "palette", "grey+alpha", "", "RGBA"};
      if (header[9] < std::size(kModes)) info.mode = kModes[header[9]];
      if (info.mode.empty()) refuse_image(name, "the PNG header names colour type ", int(header[9]), ", which does not exist", kAdvice);
      check_size(name, info.h, info.w, limits, int64_t(bytes.size()), kMostPixelsAByte);
    }
    pixels = pixels || is("IDAT");
    end = is("IEND");
    at += kFrame + length;
  }
  if (!pixels) refuse_image(name, "the PNG file has no pixels", kAdvice);
  return info;
}

}  // namespace ptrain
