#include "data/image.hpp"

#include <sys/stat.h>

#include <thread>

#include "kernels/philox.hpp"
#include "tests/data/expect_error.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain::test {
namespace {

Image decode(const Bytes& bytes, const ImageLimits& limits = {}) { return decode_image(bytes, "x.png", limits); }

constexpr int64_t kH = 9, kW = 21;
uint32_t value(int64_t y, int64_t x, int k, int bits) {
  return philox(uint64_t(bits), {{uint32_t(y), uint32_t(x), uint32_t(k), uint32_t(Purpose::test) << 24}}).v[0] >> (32 - bits);
}
uint8_t as_byte(uint32_t v, int bits) { return uint8_t(bits == 16 ? v >> 8 : v * 255 / ((1u << bits) - 1)); }

}  // namespace

TEST_CASE("PNG of every depth and colour becomes 8 bits as documented") {
  int cases = 0;
  for (const bool interlaced : {false, true})
    for (const int colour : {0, 2, 4, 6})
      for (const int bits : {1, 2, 4, 8, 16}) {
        if (bits < 8 && colour != 0) continue;  // PNG has no such files
        CAPTURE(colour);
        CAPTURE(bits);
        CAPTURE(interlaced);
        const Bytes bytes = png(kH, kW, {.bits = bits, .colour = colour, .interlaced = interlaced},
                                [&](int64_t y, int64_t x, int k) { return value(y, x, k, bits); });
        const Image got = decode(bytes);
        REQUIRE(got.h == kH);
        REQUIRE(got.w == kW);
        const int channels = colour == 0 || colour == 4 ? 1 : 3;  // grey+alpha and RGBA lose their alpha
        REQUIRE(got.c == channels);
        size_t wrong = 0;
        for (int64_t y = 0; y < kH; ++y)
          for (int64_t x = 0; x < kW; ++x)
            for (int k = 0; k < channels; ++k)
              wrong += got.pixels[size_t((y * kW + x) * channels + k)] != as_byte(value(y, x, k, bits), bits);
        CHECK(wrong == 0);
        ++cases;
      }
  CHECK(cases == 22);
}

TEST_CASE("a palette PNG becomes its colours with and without transparency") {
  Bytes palette;
  for (int i = 0; i < 16; ++i) palette = palette + Bytes{uint8_t(i * 16), uint8_t(255 - i), uint8_t(i * 3)};
  for (const int bits : {4, 8})
    for (const bool transparent : {false, true}) {
      const Bytes bytes =
          png(kH, kW, {.bits = bits, .colour = 3, .palette = palette, .transparency = transparent ? Bytes{0, 128} : Bytes{}},
              [](int64_t y, int64_t x, int) { return value(y, x, 0, 4); });
      const Image got = decode(bytes);
      REQUIRE(got.c == 3);
      size_t wrong = 0;
      for (int64_t i = 0; i < kH * kW; ++i)
        for (int64_t k = 0; k < 3; ++k) wrong += got.pixels[size_t(3 * i + k)] != palette[size_t(3 * value(i / kW, i % kW, 0, 4) + k)];
      CHECK(wrong == 0);
    }
  // A colour that tRNS makes transparent stays the colour it is.
  const Image keyed = decode(png(2, 2, {.colour = 0, .transparency = {0, 7}}, [](int64_t, int64_t, int) { return 7; }));
  CHECK(keyed.c == 1);
  CHECK(keyed.pixels == Bytes{7, 7, 7, 7});
}

TEST_CASE("three equal channels of any type are kept once") {
  Image equal{3, 5, 3, {}}, grey = picture(3, 5, 1);
  for (uint8_t v : grey.pixels) equal.pixels.insert(equal.pixels.end(), {v, v, v});
  for (const Bytes& bytes : {png(equal), bmp(equal)}) {
    const Image got = decode(bytes);
    CHECK(got.c == 1);
    CHECK(got.pixels == grey.pixels);
  }
  equal.pixels.back() ^= 1;
  CHECK(decode(png(equal)).c == 3);
  CHECK(decode(bmp(equal)).pixels == equal.pixels);
}

TEST_CASE("BMP and GIF are read and a transparent GIF lies on its background") {
  const Image colours = picture(11, 7, 3);
  CHECK(decode(bmp(colours)).pixels == colours.pixels);
  Bytes palette;
  for (int i = 0; i < 128; ++i) palette = palette + Bytes{uint8_t(i), uint8_t(2 * i), uint8_t(200 - i)};
  const auto index = [](int64_t y, int64_t x) { return int((y * 31 + x * 7) % 128); };
  const Image got = decode(gif(13, 17, palette, index));
  REQUIRE(got.c == 3);
  size_t wrong = 0;
  for (int64_t i = 0; i < 13 * 17; ++i)
    for (size_t k = 0; k < 3; ++k) wrong += got.pixels[size_t(3 * i) + k] != palette[size_t(3 * index(i / 17, i % 17)) + k];
  CHECK(wrong == 0);
  const Image holes = decode(gif(
      2, 2, palette, [](int64_t y, int64_t) { return y == 0 ? 5 : 9; }, 9));
  CHECK(Bytes(holes.pixels.begin(), holes.pixels.begin() + 3) == Bytes{5, 10, 195});
  CHECK(Bytes(holes.pixels.end() - 3, holes.pixels.end()) == Bytes{0, 0, 0});
}

TEST_CASE("the content decides and not the name") {
  const TempDir dir;
  write_bytes(dir / "really_png.jpeg", png(picture(4, 6, 3)));
  CHECK(decode_image(dir / "really_png.jpeg").w == 6);
  write_text(dir / "text.jpeg", "this is not an image\n");
  expect_error(ErrorKind::data, {"text.jpeg", "text, not an image", "a JPEG, PNG, BMP or GIF is wanted", "convert"},
               [&] { decode_image(dir / "text.jpeg"); });
  write_bytes(dir / "empty.jpeg", {});
  expect_error(ErrorKind::data, {"empty.jpeg", "the file is empty"}, [&] { decode_image(dir / "empty.jpeg"); });
  write_text(dir / "w.png", std::string("RIFF\x10\0\0\0WEBPVP8 ", 16));
  expect_error(ErrorKind::data, {"WebP"}, [&] { decode_image(dir / "w.png"); });
  write_text(dir / "d.png", std::string(128, '\0') + "DICM");
  expect_error(ErrorKind::data, {"DICOM"}, [&] { decode_image(dir / "d.png"); });
  write_text(dir / "b.bmp", "BM: a text that begins like a bitmap");
  expect_error(ErrorKind::data, {"text"}, [&] { decode_image(dir / "b.bmp"); });
}

TEST_CASE("a file that is missing or no file at all is an error and not a wait") {
  const TempDir dir;
  expect_error(ErrorKind::data, {"none.png", "No such file"}, [&] { decode_image(dir / "none.png"); });
  std::filesystem::create_directory(dir / "folder.png");
  expect_error(ErrorKind::data, {"folder.png", "a file is wanted"}, [&] { decode_image(dir / "folder.png"); });
  REQUIRE(mkfifo((dir / "pipe.png").c_str(), 0600) == 0);
  expect_error(ErrorKind::data, {"pipe.png", "a file is wanted"}, [&] { decode_image(dir / "pipe.png"); });
  write_bytes(dir / "large.png", png(picture(40, 40, 3)));
  expect_error(ErrorKind::data, {"large.png", "the limit is 1000"}, [&] { decode_image(dir / "large.png", {.file_bytes = 1000}); });
  expect_error(ErrorKind::data, {"the limit is 1000"}, [&] { decode(png(picture(40, 40, 3)), {.file_bytes = 1000}); });
}

TEST_CASE("PNG and BMP and GIF cut short are errors at every length") {
  for (const Bytes& whole :
       {png(picture(9, 9, 3)), bmp(picture(9, 9, 3)), gif(9, 9, Bytes(384, 3), [](int64_t y, int64_t x) { return int(y + x); })}) {
    CHECK_NOTHROW(decode(whole));
    const size_t slack = whole[0] == 'B' ? 3 : whole[0] == 'G' ? 1 : 0;  // padding of the last row; the mark behind the picture
    for (size_t keep = 0; keep + slack < whole.size(); ++keep) {
      CAPTURE(keep);
      expect_error(ErrorKind::data, {"decoding x.png"}, [&] { decode(Bytes(whole.begin(), whole.begin() + int64_t(keep))); });
    }
  }
}

TEST_CASE("a PNG with one wrong bit is an error") {
  const Bytes whole = png(picture(6, 6, 3));
  for (size_t i = 0; i < whole.size(); ++i) {
    Bytes bytes = whole;
    bytes[i] ^= 4;
    CAPTURE(i);
    expect_error(ErrorKind::data, {"decoding x.png"}, [&] { decode(bytes); });
  }
}

TEST_CASE("PNG headers that claim too much are refused before memory is taken") {
  const auto with = [](const Bytes& header, const Bytes& raw) {
    return png_signature() + header + png_chunk("IDAT", zlib_stored(raw)) + png_chunk("IEND", {});
  };
  expect_error(ErrorKind::data, {"30000 by 30000", "the limit is"}, [&] { decode(with(png_header(30000, 30000, 8, 2), {0})); });
  expect_error(ErrorKind::data, {"4294967295 by 4294967295", "the limit is"}, [&] { decode(with(png_header(~0u, ~0u, 16, 6), {0})); });
  expect_error(ErrorKind::data, {"8000 by 8000", "can hold"}, [&] { decode(with(png_header(8000, 8000, 8, 2), {0})); });
  expect_error(ErrorKind::data, {"0 by 4"}, [&] { decode(with(png_header(0, 4, 8, 2), {0})); });
  expect_error(ErrorKind::data, {"colour type 5"}, [&] { decode(with(png_header(4, 4, 8, 5), {0})); });
  expect_error(ErrorKind::data, {"damaged"}, [&] { decode(with(png_header(4, 4, 8, 0), {0, 1})); });
  expect_error(ErrorKind::data, {"has no pixels"}, [&] { decode(png_signature() + png_header(4, 4, 8, 0) + png_chunk("IEND", {})); });
  expect_error(ErrorKind::data, {"begin with its header"},
               [&] { decode(png_signature() + png_chunk("IDAT", {1}) + png_chunk("IEND", {})); });
  expect_error(ErrorKind::data, {"no standard names"},
               [&] { decode(png_signature() + png_header(4, 4, 8, 0) + png_chunk("ABCD", {1}) + png_chunk("IEND", {})); });
}

TEST_CASE("a PNG that unpacks to far more than its picture is refused") {
  // One pixel, and four million zeros behind it.
  const Bytes bomb = png_signature() + png_header(1, 1, 8, 0) + png_chunk("IDAT", zlib_stored(Bytes(4'000'000, 0))) + png_chunk("IEND", {});
  CHECK_NOTHROW(decode(bomb));  // stored, so the file itself is that large: within twice its size
  // The same by compression: a fixed Huffman block that repeats one zero 258 times per 13 bits, 400,000 times.
  Bytes z = {0x78, 0x01};
  uint64_t bits = 0;
  int have = 0;
  const auto put = [&](uint32_t v, int n) {
    bits |= uint64_t(v) << have, have += n;
    for (; have >= 8; have -= 8, bits >>= 8) z.push_back(uint8_t(bits));
  };
  put(1, 1), put(1, 2);                                             // the last block, fixed codes
  put(0b00001100, 8);                                               // a literal 0 (code 00110000, first bit first)
  for (int i = 0; i < 400'000; ++i) put(0b10100011, 8), put(0, 5);  // length 258 (code 11000101), distance 1
  put(0, 7), put(0, 7);
  const Bytes inflating = png_signature() + png_header(1, 1, 8, 0) + png_chunk("IDAT", z) + png_chunk("IEND", {});
  expect_error(ErrorKind::data, {"damaged", "outofmem"}, [&] { decode(inflating); });
}

TEST_CASE("BMP headers that lie are refused") {
  const Bytes good = bmp(picture(4, 4, 3));
  const auto with = [&](size_t at, Bytes value) {
    Bytes b = good;
    std::copy(value.begin(), value.end(), b.begin() + int64_t(at));
    return b;
  };
  expect_error(ErrorKind::data, {"30000 by 30000", "the limit is"}, [&] { decode(with(18, {0x30, 0x75, 0, 0, 0x30, 0x75, 0, 0})); });
  expect_error(ErrorKind::data, {"BMP"}, [&] { decode(with(10, {0xff, 0xff, 0xff, 0xff})); });
  expect_error(ErrorKind::data, {"run lengths", "PNG"}, [&] { decode(with(30, {1})); });
  expect_error(ErrorKind::data, {"x.png"}, [&] { decode(with(22, {0, 0, 0, 0x80})); });
  expect_error(ErrorKind::data, {"bits a pixel"}, [&] { decode(with(28, {0, 1})); });
}

TEST_CASE("damaged files of every type end in a picture or in an Error") {
  const Image colours = picture(24, 24, 3);
  const std::vector<Bytes> seeds = {
      jpeg(colours),
      jpeg(colours, {.progressive = true}),
      jpeg(picture(24, 24, 1), {.stored = "grey", .restart = 1}),
      jpeg(picture(24, 24, 4), {.stored = "CMYK"}),
      png(colours),
      png(9, 9, {.bits = 1, .colour = 3, .interlaced = true, .palette = Bytes(6, 9)}, [](int64_t y, int64_t, int) { return y % 2; }),
      bmp(colours),
      gif(24, 24, Bytes(384, 3), [](int64_t y, int64_t x) { return int(y * x) % 128; })};
  int pictures = 0, errors = 0;
  for (uint32_t s = 0; s < seeds.size(); ++s)
    for (uint32_t round = 0; round < 400; ++round) {
      Bytes bytes = seeds[s];
      const Philox4 r = philox(7, {{s, round, 0, 0}});
      for (uint32_t i = 0; i <= r.v[0] % 6; ++i) {
        const Philox4 where = philox(7, {{s, round, i, 1}});
        // Half of the damage is done to the header, where it matters most.
        const size_t range = where.v[1] % 2 ? bytes.size() : std::min<size_t>(bytes.size(), 64);
        bytes[where.v[0] % range] = uint8_t(where.v[2]);
      }
      if (r.v[1] % 4 == 0) bytes.resize(r.v[2] % bytes.size());
      try {
        const Image image = decode(bytes);
        ++pictures;
        CHECK(image.pixels.size() == size_t(image.h * image.w * image.c));
      } catch (const Error& e) {
        ++errors;
        CHECK(int(e.kind()) == int(ErrorKind::data));
      }
    }
  MESSAGE(pictures, " pictures, ", errors, " errors");
  CHECK(pictures > 100);
  CHECK(errors > 1000);
}

TEST_CASE("good and bad images decode side by side in many threads") {
  const Bytes good = jpeg(picture(64, 64, 3)), other = png(picture(30, 30, 3));
  const Bytes bad(good.begin(), good.begin() + int64_t(good.size() / 2));
  const Image want = decode(good), want_other = decode(other);
  std::atomic<int> wrong{0}, refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        try {
          decode(bad);
          ++wrong;
        } catch (const Error&) {
          ++refused;
        }
        wrong += decode(good).pixels != want.pixels;
        wrong += decode(other).pixels != want_other.pixels;
      }
    });
  for (std::thread& t : threads) t.join();
  CHECK(wrong == 0);
  CHECK(refused == 800);
}

}  // namespace ptrain::test
