// The transforms that Keras' layers build for the numbers they draw. What they do to pixels is tested with the kernels.
#include <numbers>

#include "data/augment.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

TEST_CASE("single transforms have the eight numbers of Keras") {
  NEEDS_GOLDENS("images/augment.json");
  const nlohmann::json golden = read_json(shared() / "keras/images/augment.json");
  const int64_t h = golden["height"], w = golden["width"];
  int seen[3] = {};
  for (const nlohmann::json& c : golden["cases"]) {
    const std::string layer = c["layer"], name = c["name"];
    Transform t;
    if (layer == "RandomRotation") t = rotation_transform(c["drawn_angle"].get<double>() / 180 * std::numbers::pi, h, w), ++seen[0];
    else if (layer == "RandomZoom") t = zoom_transform(c["height_zoom"], c["width_zoom"], h, w), ++seen[1];
    else if (layer == "RandomTranslation") t = translation_transform(c["height_pixels"], c["width_pixels"]), ++seen[2];
    else continue;
    CAPTURE(name);
    const std::vector<float> got = {t.a0, t.a1, t.a2, t.b0, t.b1, t.b2, t.c0, t.c1}, want = c["transform"];
    CHECK(difference(std::span<const float>(got), std::span<const float>(want), 1.5e-6, 0) == "");  // an ulp of the offsets, which reach 13
  }
  CHECK(seen[0] == 24);
  CHECK(seen[1] == 8);
  CHECK(seen[2] == 8);
}

}  // namespace ptrain::test
