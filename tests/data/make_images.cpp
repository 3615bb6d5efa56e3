#include "tests/data/make_images.hpp"

#include <cstdio>
#include <cstring>
#include <fstream>

#include <jpeglib.h>

#include "kernels/error.hpp"
#include "kernels/philox.hpp"

namespace ptrain::test {

Image picture(int64_t h, int64_t w, int64_t c, uint64_t seed) {
  Image image{h, w, c, {}};
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x)
      for (int64_t k = 0; k < c; ++k) {
        const float noise = random_unit(seed, Purpose::test, uint32_t(k), uint32_t(y), uint32_t(x), 0);
        image.pixels.push_back(uint8_t((x * (k + 2) + y * (5 - k)) % 200 + int64_t(noise * 55)));
      }
  return image;
}

Bytes jpeg(const Image& pixels, const JpegOptions& o) {
  jpeg_compress_struct j{};
  jpeg_error_mgr errors{};
  j.err = jpeg_std_error(&errors);
  jpeg_create_compress(&j);
  unsigned char* out = nullptr;
  unsigned long size = 0;
  jpeg_mem_dest(&j, &out, &size);
  j.image_width = JDIMENSION(pixels.w), j.image_height = JDIMENSION(pixels.h), j.input_components = int(pixels.c);
  j.in_color_space = pixels.c == 1 ? JCS_GRAYSCALE : pixels.c == 3 ? JCS_RGB : JCS_CMYK;
  jpeg_set_defaults(&j);
  const std::string stored = o.stored;
  jpeg_set_colorspace(&j, stored == "grey"   ? JCS_GRAYSCALE
                          : stored == "RGB"  ? JCS_RGB
                          : stored == "CMYK" ? JCS_CMYK
                          : stored == "YCCK" ? JCS_YCCK
                                             : JCS_YCbCr);
  if (stored == "CMYK" || stored == "YCCK") j.write_Adobe_marker = o.adobe;
  if (stored == "YCbCr") {
    j.comp_info[0].h_samp_factor = o.h_samp, j.comp_info[0].v_samp_factor = o.v_samp;
    j.write_JFIF_header = o.jfif;
  }
  jpeg_set_quality(&j, o.quality, TRUE);
  if (o.progressive) jpeg_simple_progression(&j);
  std::vector<jpeg_scan_info> scans = {{1, {0}, 0, 0, 0, 0}};
  for (int bit = 1; bit >= 0; --bit)
    for (int k = 1; k < DCTSIZE2; ++k) scans.push_back({1, {0}, k, k, bit == 1 ? 0 : 1, bit});
  if (o.many_passes) j.scan_info = scans.data(), j.num_scans = int(scans.size());
  j.arith_code = o.arithmetic;
  j.restart_interval = o.restart;
  jpeg_start_compress(&j, TRUE);
  while (j.next_scanline < j.image_height) {
    JSAMPROW row = const_cast<uint8_t*>(pixels.pixels.data()) + int64_t(j.next_scanline) * pixels.w * pixels.c;
    jpeg_write_scanlines(&j, &row, 1);
  }
  jpeg_finish_compress(&j);
  jpeg_destroy_compress(&j);
  Bytes bytes(out, out + size);
  std::free(out);
  return bytes;
}

Image plain_jpeg_rgb(const Bytes& bytes) {
  jpeg_decompress_struct j{};
  jpeg_error_mgr errors{};
  j.err = jpeg_std_error(&errors);
  jpeg_create_decompress(&j);
  jpeg_mem_src(&j, bytes.data(), bytes.size());
  jpeg_read_header(&j, TRUE);
  j.out_color_space = JCS_RGB;
  j.dct_method = JDCT_IFAST;
  jpeg_start_decompress(&j);
  Image image{j.output_height, j.output_width, 3, Bytes(size_t(j.output_height) * j.output_width * 3)};
  while (j.output_scanline < j.output_height) {
    JSAMPROW row = image.pixels.data() + size_t(j.output_scanline) * j.output_width * 3;
    jpeg_read_scanlines(&j, &row, 1);
  }
  jpeg_finish_decompress(&j);
  jpeg_destroy_decompress(&j);
  return image;
}

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

namespace {

Bytes big(uint32_t v) { return {uint8_t(v >> 24), uint8_t(v >> 16), uint8_t(v >> 8), uint8_t(v)}; }
Bytes little(uint32_t v, size_t bytes) {
  Bytes b;
  for (size_t i = 0; i < bytes; ++i) b.push_back(uint8_t(v >> (8 * i)));
  return b;
}

uint32_t bitwise_crc32(const Bytes& bytes) {
  uint32_t crc = ~0u;
  for (uint8_t byte : bytes) {
    crc ^= byte;
    for (int i = 0; i < 8; ++i) crc = crc & 1 ? crc >> 1 ^ 0xedb88320u : crc >> 1;
  }
  return ~crc;
}

}  // namespace

Bytes png_signature() { return {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'}; }

Bytes png_chunk(const std::string& type, const Bytes& content) {
  const Bytes body = Bytes(type.begin(), type.end()) + content;
  return big(uint32_t(content.size())) + body + big(bitwise_crc32(body));
}

Bytes png_header(uint32_t w, uint32_t h, int bits, int colour, int interlace) {
  return png_chunk("IHDR", big(w) + big(h) + Bytes{uint8_t(bits), uint8_t(colour), 0, 0, uint8_t(interlace)});
}

Bytes zlib_stored(const Bytes& content) {
  Bytes z = {0x78, 0x01};
  for (size_t at = 0; at == 0 || at < content.size();) {
    const size_t n = std::min<size_t>(content.size() - at, 65535);
    z.push_back(at + n == content.size());
    z = z + little(uint32_t(n), 2) + little(uint32_t(~n) & 0xffff, 2) + Bytes(content.begin() + int64_t(at), content.begin() + int64_t(at + n));
    at += std::max<size_t>(n, 1);
  }
  uint32_t a = 1, b = 0;
  for (uint8_t v : content) a = (a + v) % 65521, b = (b + a) % 65521;
  return z + big(b << 16 | a);
}

Bytes png(int64_t h, int64_t w, const PngOptions& o, const std::function<uint32_t(int64_t, int64_t, int)>& sample) {
  const int samples = o.colour == 2 ? 3 : o.colour == 4 ? 2 : o.colour == 6 ? 4 : 1;
  Bytes raw;
  const auto pass = [&](int64_t y0, int64_t x0, int64_t dy, int64_t dx) {
    for (int64_t y = y0; y < h && x0 < w; y += dy) {
      raw.push_back(0);  // no filter
      uint32_t pending = 0;
      int have = 0;
      for (int64_t x = x0; x < w; x += dx)
        for (int k = 0; k < samples; ++k) {
          pending = pending << o.bits | sample(y, x, k), have += o.bits;
          for (; have >= 8; have -= 8) raw.push_back(uint8_t(pending >> (have - 8)));
        }
      if (have > 0) raw.push_back(uint8_t(pending << (8 - have)));
    }
  };
  if (o.interlaced) {
    constexpr int kAdam7[7][4] = {{0, 0, 8, 8}, {0, 4, 8, 8}, {4, 0, 8, 4}, {0, 2, 4, 4}, {2, 0, 4, 2}, {0, 1, 2, 2}, {1, 0, 2, 1}};
    for (const auto& p : kAdam7) pass(p[0], p[1], p[2], p[3]);
  } else {
    pass(0, 0, 1, 1);
  }
  Bytes file = png_signature() + png_header(uint32_t(w), uint32_t(h), o.bits, o.colour, o.interlaced);
  if (!o.palette.empty()) file = file + png_chunk("PLTE", o.palette);
  if (!o.transparency.empty()) file = file + png_chunk("tRNS", o.transparency);
  const Bytes data = zlib_stored(raw);  // in two chunks, as real files have several
  const auto middle = data.begin() + int64_t(data.size() / 2);
  return file + png_chunk("IDAT", Bytes(data.begin(), middle)) + png_chunk("IDAT", Bytes(middle, data.end())) + png_chunk("IEND", {});
}

Bytes png(const Image& image) {
  return png(image.h, image.w, {.colour = image.c == 1 ? 0 : 2},
             [&](int64_t y, int64_t x, int k) { return image.pixels[size_t((y * image.w + x) * image.c + k)]; });
}

Bytes bmp(const Image& image) {
  const size_t row = size_t(image.w * 3 + 3) / 4 * 4;
  Bytes file = Bytes{'B', 'M'} + little(uint32_t(54 + row * size_t(image.h)), 4) + little(0, 4) + little(54, 4) + little(40, 4);
  file = file + little(uint32_t(image.w), 4) + little(uint32_t(image.h), 4) + little(1, 2) + little(24, 2) + Bytes(24, 0);
  for (int64_t y = image.h - 1; y >= 0; --y) {
    for (int64_t x = 0; x < image.w; ++x)
      for (int64_t k = 2; k >= 0; --k) file.push_back(image.pixels[size_t((y * image.w + x) * 3 + k)]);
    file.resize(file.size() + row - size_t(image.w) * 3);
  }
  return file;
}

Bytes gif(int64_t h, int64_t w, const Bytes& palette, const std::function<int(int64_t, int64_t)>& index, int transparent) {
  Bytes table = palette;  // 128 colours
  table.resize(3 * 128);
  Bytes file = Bytes{'G', 'I', 'F', '8', '9', 'a'} + little(uint32_t(w), 2) + little(uint32_t(h), 2) + Bytes{0xf6, 0, 0} + table;
  if (transparent >= 0) file = file + Bytes{0x21, 0xf9, 4, 1, 0, 0, uint8_t(transparent), 0};
  file = file + Bytes{0x2c, 0, 0, 0, 0} + little(uint32_t(w), 2) + little(uint32_t(h), 2) + Bytes{0, 7};
  Bytes codes;  // always eight bits: a clear code (128) comes before the table grows
  for (int64_t i = 0; i < h * w; ++i) {
    if (i % 100 == 0) codes.push_back(128);
    codes.push_back(uint8_t(index(i / w, i % w)));
  }
  codes.push_back(129);
  for (size_t at = 0; at < codes.size(); at += 255) {
    const size_t n = std::min<size_t>(255, codes.size() - at);
    file.push_back(uint8_t(n));
    file.insert(file.end(), codes.begin() + int64_t(at), codes.begin() + int64_t(at + n));
  }
  return file + Bytes{0, 0x3b};
}

void write_bytes(const std::filesystem::path& path, const Bytes& bytes) {
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  out.write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  REQUIRE_THAT(out.flush(), "cannot write ", path.string());
}

void write_text(const std::filesystem::path& path, const std::string& text) { write_bytes(path, Bytes(text.begin(), text.end())); }

}  // namespace ptrain::test
