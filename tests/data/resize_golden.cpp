// Cached images against tf.image.resize: the same values, rounded.
#include "data/image.hpp"
#include "data/resize.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

TEST_CASE("a resized image is that of tf.image.resize to the nearest grey level") {
  NEEDS_GOLDENS("images/resize.npz");
  const std::map<std::string, Array> golden = read_npz(shared() / "keras/images/resize.npz");
  const Resizer resize(make_reference_backend());
  const Image source = decode_image(shared() / "keras/images/picture_37x53.png");
  int cases = 0;
  for (const auto& [h, w] : {std::pair<int64_t, int64_t>{24, 24}, {64, 80}}) {
    const Array& want = golden.at(concat("37x53_to_", h, "x", w, "_bilinear"));
    const Image got = resize(source, h, w);
    REQUIRE(got.pixels.size() == want.values.size());
    size_t wrong = 0, halves = 0;
    for (size_t i = 0; i < want.values.size(); ++i) {
      const double fraction = want.values[i] - std::floor(want.values[i]);
      if (std::fabs(fraction - 0.5) < 1e-4) ++halves;  // either neighbour is the nearest
      else wrong += std::fabs(double(got.pixels[i]) - want.values[i]) > 0.5 + 1e-4;
    }
    CHECK(wrong == 0);
    CHECK(halves < want.values.size() / 50);
    ++cases;
  }
  CHECK(cases == 2);
  CHECK(resize(source, 37, 53).pixels == source.pixels);
}

}  // namespace ptrain::test
