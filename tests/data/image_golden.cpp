// The pixels of tf.io.decode_jpeg and tf.io.decode_png, by their SHA-256.
#include "data/image.hpp"
#include "data/sha256.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {
namespace {

Image as_rgb(const Image& image) {
  if (image.c == 3) return image;
  Image rgb{image.h, image.w, 3, {}};
  for (uint8_t v : image.pixels) rgb.pixels.insert(rgb.pixels.end(), {v, v, v});
  return rgb;
}

}  // namespace

TEST_CASE("decoded images have the pixels of TensorFlow") {
  NEEDS_GOLDENS("images/decode.tsv");
  if (!present("goldens", shared() / "data")) return;
  int xrays = 0, pngs = 0;
  for (const Row& row : read_tsv(shared() / "keras/images/decode.tsv")) {
    const std::string file = row.at("file");
    CAPTURE(file);
    const Image image = decode_image(shared() / "data" / file);
    CHECK(image.h == std::stoll(row.at("height")));
    CHECK(image.w == std::stoll(row.at("width")));
    CHECK(sha256_hex(as_rgb(image).pixels) == row.at("sha256_rgb"));
    const bool xray = file.starts_with("chest_xray");
    xray ? ++xrays : ++pngs;
    if (!xray) continue;
    CHECK(image.c == 1);  // three equal channels are kept once
    CHECK(sha256_hex(image.pixels) == row.at("sha256_gray"));
  }
  CHECK(xrays == 40);
  CHECK(pngs == 4);
}

TEST_CASE("the PNG that Keras resized decodes to the formula picture") {
  NEEDS_GOLDENS("images/picture_37x53.png");
  const Image image = decode_image(shared() / "keras/images/picture_37x53.png");
  CHECK(image.h == 37);
  CHECK(image.w == 53);
  REQUIRE(image.c == 3);
  // The byte i of the picture is the top 8 bits of splitmix64(fnv1a64("image/37x53") + i).
  const auto splitmix64 = [](uint64_t x) {
    x += 0x9e3779b97f4a7c15u, x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u, x = (x ^ x >> 27) * 0x94d049bb133111ebu;
    return x ^ x >> 31;
  };
  uint64_t key = 0xcbf29ce484222325u;
  for (unsigned char c : std::string("image/37x53")) key = (key ^ c) * 0x100000001b3u;
  size_t wrong = 0;
  for (size_t i = 0; i < image.pixels.size(); ++i) wrong += image.pixels[i] != splitmix64(key + i) >> 56;
  CHECK(wrong == 0);
}

}  // namespace ptrain::test
