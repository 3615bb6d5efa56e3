// JPEG by libjpeg-turbo, with the settings that give TensorFlow's pixels.
#include <csetjmp>
#include <cstdio>
#include <cstring>

#include <jpeglib.h>

#include <jerror.h>

#include "data/image_formats.hpp"

namespace ptrain {
namespace {

// A sequential file spends at least one bit on each 8×8 block of its first component.
constexpr int64_t kMostPixelsAByte = 8 * 64;
// A progressive file has about ten passes; each one costs time in proportion to the image, whatever it holds.
constexpr int kMostScans = 100;

// One libjpeg decompressor. libjpeg reports an error by a long jump, which must not pass a destructor: every call of the library
// goes through run(), whose callees hold nothing that needs one.
class Decompressor {
 public:
  explicit Decompressor(const std::string& name) : name_(name) {
    jpeg.err = jpeg_std_error(&errors_);
    jpeg.client_data = this;
    errors_.error_exit = [](j_common_ptr j) { self(j).leave(); };
    errors_.emit_message = [](j_common_ptr j, int level) {
      if (level < 0 && !self(j).harmless_warning()) self(j).leave();
    };
    progress_.progress_monitor = [](j_common_ptr j) {
      if (reinterpret_cast<j_decompress_ptr>(j)->input_scan_number <= kMostScans) return;
      std::snprintf(self(j).message_, sizeof(self(j).message_), "more than %d passes over the image", kMostScans);
      std::longjmp(self(j).jump_, 1);
    };
    run([&] { jpeg_create_decompress(&jpeg); });
  }
  ~Decompressor() { jpeg_destroy_decompress(&jpeg); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  void read_header(std::span<const uint8_t> bytes) {
    run([&] {
      jpeg.progress = &progress_;
      jpeg_mem_src(&jpeg, bytes.data(), bytes.size());
      jpeg_read_header(&jpeg, TRUE);
      jpeg.dct_method = JDCT_IFAST;
      jpeg.do_fancy_upsampling = TRUE;
    });
  }

  template <class F>
  void run(const F& calls) {
    if (setjmp(jump_) != 0)
      refuse_image(name_, "the JPEG data is damaged, cut short, or of a kind that is not read (libjpeg: ", message_,
                   "); a complete baseline or progressive JPEG of 8 bits is wanted; get the file again or remove it");
    calls();
  }

  jpeg_decompress_struct jpeg{};

 private:
  static Decompressor& self(j_common_ptr j) { return *static_cast<Decompressor*>(j->client_data); }
  [[noreturn]] void leave() {
    errors_.format_message(reinterpret_cast<j_common_ptr>(&jpeg), message_);
    std::longjmp(jump_, 1);
  }
  // libjpeg warns and goes on with grey or garbage; only these warnings leave the pixels right. (A few stray bytes before the end marker,
  // as some cameras leave them, are no warning: the bits that are read ahead swallow them.)
  bool harmless_warning() const { return errors_.msg_code == JWRN_JFIF_MAJOR || errors_.msg_code == JWRN_ADOBE_XFORM; }

  const std::string& name_;
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = "";
};

const char* mode_of(const jpeg_decompress_struct& jpeg) {
  switch (jpeg.jpeg_color_space) {
    case JCS_GRAYSCALE: return "grey";
    case JCS_RGB: return "RGB";
    case JCS_YCbCr: return "YCbCr";
    case JCS_CMYK: return "CMYK";
    case JCS_YCCK: return "YCCK";
    default: return nullptr;
  }
}

ImageInfo info_of(const jpeg_decompress_struct& jpeg, std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  const ImageInfo info{ImageType::jpeg, jpeg.image_height, jpeg.image_width, jpeg.data_precision, mode_of(jpeg) ? mode_of(jpeg) : ""};
  if (info.mode.empty())
    refuse_image(name, "a JPEG of ", jpeg.num_components,
                 " components whose colours are not known; grey, RGB, YCbCr, CMYK or YCCK is wanted; ", "convert the file to one of these");
  // Arithmetic coding can spend less than a bit on a block.
  check_size(name, info.h, info.w, limits, int64_t(bytes.size()), jpeg.arith_code ? limits.pixels : kMostPixelsAByte);
  return info;
}

void read_rows(Decompressor& d, uint8_t* pixels, size_t row_bytes) {
  d.run([&] {
    jpeg_start_decompress(&d.jpeg);
    while (d.jpeg.output_scanline < d.jpeg.output_height) {
      JSAMPROW row = pixels + size_t(d.jpeg.output_scanline) * row_bytes;
      jpeg_read_scanlines(&d.jpeg, &row, 1);
    }
    jpeg_finish_decompress(&d.jpeg);
  });
}

// Decodes a YCbCr file whose chroma planes hold nothing but 128, and says no as soon as it meets another value.
// Why Y alone is then the RGB picture, bit for bit: smooth upsampling takes weighted means of equal values ((3·128 + 128 + 2)/4 =
// 128, and so on), and the colour conversion adds 1.402·(Cr−128), −0.344·(Cb−128) − 0.714·(Cr−128) and 1.772·(Cb−128), each 0 before
// rounding, to Y, which comes from the same inverse DCT in both cases. So R = G = B = Y. The raw planes cost no upsampling and no
// colour conversion.
bool decode_without_colour(Decompressor& d, Image& image) {
  jpeg_decompress_struct& jpeg = d.jpeg;
  jpeg.raw_data_out = TRUE;
  jpeg.out_color_space = JCS_YCbCr;
  d.run([&] { jpeg_start_decompress(&jpeg); });

  const jpeg_component_info* parts = jpeg.comp_info;
  for (int i = 0; i < 3; ++i)
    if (parts[i].v_samp_factor > parts[0].v_samp_factor || parts[i].h_samp_factor > parts[0].h_samp_factor)
      return false;  // Y itself would have to be enlarged
  // One band is a row of the largest coding units: v·8 rows of each component, whole blocks wide.
  JSAMPROW rows[3][MAX_SAMP_FACTOR * DCTSIZE];
  JSAMPARRAY planes[3] = {rows[0], rows[1], rows[2]};
  std::vector<uint8_t> band[3];
  for (int i = 0; i < 3; ++i) {
    const size_t width = size_t(parts[i].width_in_blocks) * DCTSIZE, height = size_t(parts[i].v_samp_factor) * DCTSIZE;
    band[i].assign(width * height, 128);  // the last band may be filled in part
    for (size_t y = 0; y < height; ++y) rows[i][y] = band[i].data() + y * width;
  }
  const std::vector<uint8_t> grey(std::max(band[1].size(), band[2].size()), 128);
  const JDIMENSION band_rows = JDIMENSION(jpeg.max_v_samp_factor * DCTSIZE);
  while (jpeg.output_scanline < jpeg.output_height) {
    const JDIMENSION first = jpeg.output_scanline;
    d.run([&] { jpeg_read_raw_data(&jpeg, planes, band_rows); });
    for (int i = 1; i < 3; ++i)
      if (std::memcmp(band[i].data(), grey.data(), band[i].size()) != 0) return false;
    const JDIMENSION count = std::min(band_rows, jpeg.output_height - first);
    for (JDIMENSION y = 0; y < count; ++y) std::memcpy(image.pixels.data() + (first + y) * size_t(image.w), rows[0][y], size_t(image.w));
  }
  d.run([&] { jpeg_finish_decompress(&jpeg); });
  return true;
}

// Four inks in, three colours out, as TensorFlow does it. Adobe's programs store the inks inverted.
void to_rgb(const std::vector<uint8_t>& cmyk, bool inverted, std::vector<uint8_t>& rgb) {
  for (size_t i = 0; i < cmyk.size() / 4; ++i) {
    const int k = inverted ? cmyk[4 * i + 3] : 255 - cmyk[4 * i + 3];
    for (size_t c = 0; c < 3; ++c) {
      const int ink = cmyk[4 * i + c];
      rgb[3 * i + c] = uint8_t((inverted ? ink : 255 - ink) * k / 255);
    }
  }
}

}  // namespace

ImageInfo inspect_jpeg(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  Decompressor d(name);
  d.read_header(bytes);
  return info_of(d.jpeg, bytes, name, limits);
}

Image decode_jpeg(std::span<const uint8_t> bytes, const std::string& name, const ImageLimits& limits) {
  const ImageInfo info = inspect_jpeg(bytes, name, limits);
  Image image{info.h, info.w, 1, std::vector<uint8_t>(size_t(info.h * info.w))};
  const size_t row = size_t(info.w);
  if (info.mode == "YCbCr") {
    Decompressor d(name);
    d.read_header(bytes);
    // A progressive file would be unpacked as a whole before the first value is seen: its RGB picture is looked at instead.
    if (!jpeg_has_multiple_scans(&d.jpeg) && decode_without_colour(d, image)) return image;
  }
  Decompressor d(name);
  d.read_header(bytes);
  if (info.mode == "grey") {
    d.jpeg.out_color_space = JCS_GRAYSCALE;
    read_rows(d, image.pixels.data(), row);
    return image;
  }
  image.c = 3;
  image.pixels.resize(3 * size_t(info.h) * row);
  if (info.mode == "CMYK" || info.mode == "YCCK") {
    d.jpeg.out_color_space = JCS_CMYK;
    std::vector<uint8_t> inks(4 * size_t(info.h) * row);
    read_rows(d, inks.data(), 4 * row);
    to_rgb(inks, d.jpeg.saw_Adobe_marker, image.pixels);
  } else {
    d.jpeg.out_color_space = JCS_RGB;
    read_rows(d, image.pixels.data(), 3 * row);
  }
  return image;
}

}  // namespace ptrain
