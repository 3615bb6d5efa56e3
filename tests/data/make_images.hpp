// defines: small images of every kind, made by the tests themselves
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "data/image.hpp"

namespace ptrain::test {

using Bytes = std::vector<uint8_t>;

// A picture with slopes and noise: value(y, x, channel) of `c` channels.
Image picture(int64_t h, int64_t w, int64_t c, uint64_t seed = 1);

struct JpegOptions {
  const char* stored = "YCbCr";  // grey, RGB, YCbCr, CMYK, YCCK
  int h_samp = 2, v_samp = 2;    // of the first component; the others have 1
  int quality = 90;
  bool progressive = false, adobe = true, arithmetic = false;
  unsigned restart = 0;      // coding units between restart marks; 0: none
  bool ready = false;        // the pixels are YCbCr already
  bool many_passes = false;  // progressive, grey: one pass for each bit of each coefficient
};
// `pixels` has as many channels as the stored colours are made of: 1, 3, or 4 inks.
Bytes jpeg(const Image& pixels, const JpegOptions& options = {});

// What plain libjpeg gives for RGB with JDCT_IFAST and default upsampling: what TensorFlow does.
Image plain_jpeg_rgb(const Bytes& bytes);

struct PngOptions {
  int bits = 8;    // of a sample: 1, 2, 4, 8, 16
  int colour = 2;  // 0 grey, 2 RGB, 3 palette, 4 grey+alpha, 6 RGBA
  bool interlaced = false;
  Bytes palette = {};       // red, green, blue, …
  Bytes transparency = {};  // the content of tRNS
};
// sample(y, x, k): the k-th sample of a pixel, in the full range of `bits`. Stored deflate blocks, no compression.
Bytes png(int64_t h, int64_t w, const PngOptions& options, const std::function<uint32_t(int64_t y, int64_t x, int k)>& sample);
Bytes png(const Image& image);  // 8 bits, grey or RGB
// The parts of a PNG file, for files that are wrong in one place.
Bytes png_signature();
Bytes png_chunk(const std::string& type, const Bytes& content);
Bytes png_header(uint32_t w, uint32_t h, int bits, int colour, int interlace = 0);
Bytes zlib_stored(const Bytes& content);

Bytes bmp(const Image& image);  // 24 bits, three channels
Bytes gif(int64_t h, int64_t w, const Bytes& palette, const std::function<int(int64_t y, int64_t x)>& index, int transparent = -1);

Bytes operator+(Bytes a, const Bytes& b);
void write_bytes(const std::filesystem::path& path, const Bytes& bytes);  // and the folders above it
void write_text(const std::filesystem::path& path, const std::string& text);

}  // namespace ptrain::test
