#include "data/encode.hpp"

#include <csetjmp>
#include <cstdio>
#include <cstdlib>

#include <jpeglib.h>

#include "kernels/error.hpp"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image_write.h>
#pragma GCC diagnostic pop

namespace ptrain {
namespace {

void check(const Image& image) {
  REQUIRE_THAT(image.h > 0 && image.w > 0 && image.h < 65536 && image.w < 65536 && (image.c == 1 || image.c == 3) &&
                   int64_t(image.pixels.size()) == image.h * image.w * image.c,
               "encoding an image of ", image.w, " by ", image.h, " with ", image.c, " channels and ", image.pixels.size(), " bytes");
}

struct JpegErrors {
  jpeg_error_mgr manager;
  std::jmp_buf back;
};

// libjpeg's own handler ends the program.
void give_up(j_common_ptr info) { std::longjmp(reinterpret_cast<JpegErrors*>(info->err)->back, 1); }

}  // namespace

std::vector<uint8_t> encode_png(const Image& image) {
  check(image);
  std::vector<uint8_t> bytes;
  const auto append = [](void* to, void* data, int size) {
    const auto* first = static_cast<const uint8_t*>(data);
    static_cast<std::vector<uint8_t>*>(to)->insert(static_cast<std::vector<uint8_t>*>(to)->end(), first, first + size);
  };
  const int good =
      stbi_write_png_to_func(append, &bytes, int(image.w), int(image.h), int(image.c), image.pixels.data(), int(image.w * image.c));
  REQUIRE_THAT(good != 0 && !bytes.empty(), "writing a PNG of ", image.w, " by ", image.h, ": out of memory");
  return bytes;
}

std::vector<uint8_t> encode_jpeg(const Image& image, int quality) {
  check(image);
  jpeg_compress_struct jpeg{};
  JpegErrors errors{};
  jpeg.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = give_up;
  unsigned char* buffer = nullptr;
  unsigned long size = 0;
  if (setjmp(errors.back) != 0) {
    jpeg_destroy_compress(&jpeg);
    std::free(buffer);
    fail(ErrorKind::failed, "writing a JPEG of ", image.w, " by ", image.h, ": libjpeg gave up");
  }
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, &buffer, &size);
  jpeg.image_width = JDIMENSION(image.w);
  jpeg.image_height = JDIMENSION(image.h);
  jpeg.input_components = int(image.c);
  jpeg.in_color_space = image.c == 1 ? JCS_GRAYSCALE : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, quality, TRUE);
  jpeg_start_compress(&jpeg, TRUE);
  while (jpeg.next_scanline < jpeg.image_height) {
    JSAMPROW row = const_cast<JSAMPROW>(image.pixels.data()) + int64_t(jpeg.next_scanline) * image.w * image.c;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::vector<uint8_t> bytes(buffer, buffer + size);
  std::free(buffer);
  return bytes;
}

}  // namespace ptrain
