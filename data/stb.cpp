// PNG, BMP and GIF by stb_image. Its other decoders are left out: fewer doors.
#include <cstdlib>
#include <cstring>

#include "data/image_formats.hpp"

namespace {

// stb_image enlarges its buffers as long as the data asks for it: a few bytes of a PNG can ask for gigabytes. No single block may be
// larger than what the picture, whose size was checked, can need.
thread_local size_t largest_block = 0;

void* limited_malloc(size_t size) { return size > largest_block ? nullptr : std::malloc(size); }
void* limited_realloc(void* block, size_t size) { return size > largest_block ? nullptr : std::realloc(block, size); }

}  // namespace

#define STBI_MALLOC(size) limited_malloc(size)
#define STBI_REALLOC(block, size) limited_realloc(block, size)
#define STBI_FREE(block) std::free(block)
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS (1 << 20)  // the real limits are in check_size()
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

namespace ptrain {

Image decode_stb(std::span<const uint8_t> bytes, const std::string& name, const ImageInfo& info) {
  // Four samples of two bytes a pixel, the file itself, and twice that since buffers grow by doubling.
  largest_block = 2 * (8 * size_t(info.w + 1) * size_t(info.h) + bytes.size()) + (1 << 20);
  int w = 0, h = 0, stored = 0;
  uint8_t* decoded = stbi_load_from_memory(bytes.data(), int(bytes.size()), &w, &h, &stored, 0);
  if (!decoded)
    refuse_image(name, "the ", str(info.type), " data is damaged or of a kind that is not read (", stbi_failure_reason(),
                 "); get the file again, or save the picture as a plain PNG");
  const struct Free {
    uint8_t* block;
    ~Free() { std::free(block); }
  } free_decoded{decoded};
  REQUIRE_THAT(w == info.w && h == info.h, "decoding ", name, ": the header says ", info.w, " by ", info.h, ", the decoder ", w, " by ", h);

  const size_t from = size_t(stored), to = from <= 2 ? 1 : 3;  // what is left without transparency
  Image image{h, w, int64_t(to), std::vector<uint8_t>(size_t(w) * size_t(h) * to)};
  if (from == to) {
    std::memcpy(image.pixels.data(), decoded, image.pixels.size());
  } else {
    for (size_t i = 0; i < size_t(w) * size_t(h); ++i)
      for (size_t c = 0; c < to; ++c) image.pixels[i * to + c] = decoded[i * from + c];
  }
  return image;
}

}  // namespace ptrain
