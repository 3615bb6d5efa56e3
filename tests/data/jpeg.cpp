#include "data/image.hpp"
#include "tests/data/expect_error.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain::test {
namespace {

Image decode(const Bytes& bytes, const ImageLimits& limits = {}) { return decode_image(bytes, "x.jpeg", limits); }

Image grey_as_rgb(const Image& grey) {
  Image rgb{grey.h, grey.w, 3, {}};
  for (uint8_t v : grey.pixels) rgb.pixels.insert(rgb.pixels.end(), {v, v, v});
  return rgb;
}

// The largest distance between a pixel and the wanted colour.
int worst_distance(const Image& image, int r, int g, int b) {
  int worst = 0;
  const int want[3] = {r, g, b};
  for (size_t i = 0; i < image.pixels.size(); ++i) worst = std::max(worst, std::abs(image.pixels[i] - want[image.c == 3 ? i % 3 : 0]));
  return worst;
}

Image flat(int64_t h, int64_t w, Bytes colour) {
  Image image{h, w, int64_t(colour.size()), {}};
  for (int64_t i = 0; i < h * w; ++i) image.pixels.insert(image.pixels.end(), colour.begin(), colour.end());
  return image;
}

}  // namespace

TEST_CASE("a JPEG with constant chroma is decoded as one channel with the bytes of the RGB decoder") {
  int cases = 0;
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{16, 16}, {1, 1}, {7, 9}, {33, 17}, {224, 224}, {50, 131}})
    for (const auto& [hs, vs] : {std::pair{1, 1}, {2, 1}, {2, 2}, {1, 2}, {4, 1}})
      for (const bool progressive : {false, true})
        for (const int quality : {35, 75, 100}) {
          CAPTURE(h);
          CAPTURE(w);
          CAPTURE(hs);
          CAPTURE(vs);
          CAPTURE(progressive);
          CAPTURE(quality);
          const Image source = grey_as_rgb(picture(h, w, 1, uint64_t(quality)));
          const Bytes bytes = jpeg(
              source, {.h_samp = hs, .v_samp = vs, .quality = quality, .progressive = progressive, .restart = quality == 75 ? 2u : 0u});
          const Image got = decode(bytes);
          CHECK(got.c == 1);
          CHECK(got.h == h);
          CHECK(got.w == w);
          CHECK(grey_as_rgb(got).pixels == plain_jpeg_rgb(bytes).pixels);
          ++cases;
        }
  CHECK(cases == 180);
}

TEST_CASE("a JPEG with colour keeps three channels and the bytes of the RGB decoder") {
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{1, 1}, {7, 9}, {33, 17}, {64, 80}})
    for (const auto& [hs, vs] : {std::pair{1, 1}, {2, 1}, {2, 2}})
      for (const bool progressive : {false, true}) {
        CAPTURE(h);
        CAPTURE(w);
        CAPTURE(hs);
        CAPTURE(vs);
        CAPTURE(progressive);
        const Bytes bytes = jpeg(picture(h, w, 3), {.h_samp = hs, .v_samp = vs, .progressive = progressive});
        const Image got = decode(bytes);
        CHECK(got.c == 3);
        CHECK(got.pixels == plain_jpeg_rgb(bytes).pixels);
      }
}

TEST_CASE("one coloured block in the last row of a JPEG is seen") {
  Image image = grey_as_rgb(picture(70, 70, 1));
  for (int64_t y = 64; y < 70; ++y)
    for (int64_t x = 64; x < 70; ++x) image.pixels[size_t((y * 70 + x) * 3)] = 255;
  const Bytes bytes = jpeg(image);
  const Image got = decode(bytes);
  CHECK(got.c == 3);
  CHECK(got.pixels == plain_jpeg_rgb(bytes).pixels);
}

TEST_CASE("colour in one chroma plane alone is seen") {
  for (const size_t plane : {1, 2}) {
    Image ycc = picture(40, 40, 3);
    for (size_t i = 0; i < ycc.pixels.size(); ++i)
      if (i % 3 != 0) ycc.pixels[i] = i % 3 == plane ? 140 : 128;
    const Bytes bytes = jpeg(ycc, {.ready = true});
    const Image got = decode(bytes);
    CHECK(got.c == 3);
    CHECK(got.pixels == plain_jpeg_rgb(bytes).pixels);
  }
}

TEST_CASE("grey JPEG and RGB JPEG with equal channels are one channel") {
  const Image source = picture(20, 30, 1);
  const Image grey = decode(jpeg(source, {.stored = "grey"}));
  CHECK(grey.c == 1);
  CHECK(grey.pixels == decode(jpeg(grey_as_rgb(source), {.stored = "RGB"})).pixels);
  CHECK(decode(jpeg(picture(20, 30, 3), {.stored = "RGB"})).c == 3);
}

TEST_CASE("CMYK and YCCK JPEG become RGB as TensorFlow does it") {
  const Bytes inks = {30, 90, 200, 160};
  for (const char* stored : {"CMYK", "YCCK"})
    for (const bool adobe : {true, false}) {
      if (!adobe && std::string(stored) == "YCCK") continue;  // without its marker nobody can tell it from CMYK
      CAPTURE(stored);
      CAPTURE(adobe);
      const Image got = decode(jpeg(flat(16, 16, inks), {.stored = stored, .quality = 100, .adobe = adobe}));
      CHECK(got.c == 3);
      if (adobe) CHECK(worst_distance(got, 160 * 30 / 255, 160 * 90 / 255, 160 * 200 / 255) <= 3);
      else CHECK(worst_distance(got, 95 * 225 / 255, 95 * 165 / 255, 95 * 55 / 255) <= 3);
    }
}

TEST_CASE("arithmetic coding is read") {
  const Bytes bytes = jpeg(picture(40, 40, 3), {.arithmetic = true});
  CHECK(decode(bytes).pixels == plain_jpeg_rgb(bytes).pixels);
}

TEST_CASE("a JPEG that is cut short anywhere is an error that names it") {
  for (const bool progressive : {false, true})
    for (const char* stored : {"YCbCr", "grey"}) {
      const Image source = picture(64, 64, std::string(stored) == "grey" ? 1 : 3);
      const Bytes whole = jpeg(source, {.stored = stored, .progressive = progressive});
      for (size_t keep = 3; keep < whole.size(); keep += 1 + whole.size() / 60) {
        CAPTURE(keep);
        const Bytes part(whole.begin(), whole.begin() + int64_t(keep));
        expect_error(ErrorKind::data, {"x.jpeg", "cut short", "libjpeg:", "get the file again"}, [&] { decode(part); });
      }
      CHECK_NOTHROW(decode(whole));
    }
}

TEST_CASE("a JPEG whose data is overwritten is an error") {
  Bytes bytes = jpeg(picture(64, 64, 1), {.stored = "grey"});
  for (size_t i = bytes.size() / 2; i < bytes.size() / 2 + 40; ++i) bytes[i] = uint8_t(i * 37);
  expect_error(ErrorKind::data, {"x.jpeg", "damaged"}, [&] { decode(bytes); });
}

TEST_CASE("two stray bytes before the end mark of a JPEG do no harm and many are an error") {
  const Bytes whole = jpeg(picture(32, 32, 1), {.stored = "grey"});
  const Bytes body(whole.begin(), whole.end() - 2), end = {0xff, 0xd9};
  CHECK(decode(body + Bytes{1, 2} + end).pixels == decode(whole).pixels);
  CHECK(decode(whole + Bytes(100, 7)).pixels == decode(whole).pixels);  // after it anything may follow
  expect_error(ErrorKind::data, {"extraneous"}, [&] { decode(body + Bytes(50, 7) + end); });
}

TEST_CASE("a JPEG header that claims too much is refused before memory is taken") {
  Bytes bytes = jpeg(picture(16, 16, 1), {.stored = "grey"});
  size_t frame = 0;  // FF C0, length, bits, height, width
  while (!(bytes[frame] == 0xff && bytes[frame + 1] == 0xc0)) ++frame;
  const auto claim = [&](int h, int w) {
    bytes[frame + 5] = uint8_t(h >> 8), bytes[frame + 6] = uint8_t(h), bytes[frame + 7] = uint8_t(w >> 8), bytes[frame + 8] = uint8_t(w);
    return bytes;
  };
  expect_error(ErrorKind::data, {"30000 by 30000", "the limit is 16384 a side", "67108864"}, [&] { decode(claim(30000, 30000)); });
  expect_error(ErrorKind::data, {"12000 by 12000", "67108864 in all"}, [&] { decode(claim(12000, 12000)); });
  expect_error(ErrorKind::data, {"8000 by 8000", "can hold"}, [&] { decode(claim(8000, 8000)); });
  expect_error(ErrorKind::data, {"x.jpeg"}, [&] { decode(claim(0, 16)); });
  expect_error(ErrorKind::data, {"40 by 30", "20 a side"}, [&] { decode(jpeg(picture(30, 40, 1), {.stored = "grey"}), {.side = 20}); });
}

TEST_CASE("a progressive JPEG with more than a hundred passes is refused") {
  const Bytes bytes = jpeg(picture(16, 16, 1), {.stored = "grey", .many_passes = true});
  CHECK_NOTHROW(plain_jpeg_rgb(bytes));
  expect_error(ErrorKind::data, {"x.jpeg", "more than 100 passes over the image"}, [&] { decode(bytes); });
}

TEST_CASE("inspecting a JPEG reads its header alone") {
  const ImageInfo info = inspect_image(jpeg(picture(16, 24, 3)), "x");
  CHECK(info.type == ImageType::jpeg);
  CHECK(info.h == 16);
  CHECK(info.w == 24);
  CHECK(info.mode == "YCbCr");
  CHECK(info.bits == 8);
  CHECK(inspect_image(jpeg(picture(8, 8, 4), {.stored = "YCCK"}), "x").mode == "YCCK");
}

}  // namespace ptrain::test
