// Occlusion, heat maps, and the pictures that they become.
#include "data/augment.hpp"
#include "data/encode.hpp"
#include "layers/formula.hpp"
#include "tests/support/support.hpp"
#include "train/explain/occlusion.hpp"
#include "train/fit.hpp"
#include "train/test_time.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("patches cover every pixel and end at the edge") {
  const Patches p = patches(5, 4, {.patch = 2, .stride = 2});
  const std::vector<std::pair<int64_t, int64_t>> want{{0, 0}, {0, 2}, {2, 0}, {2, 2}, {3, 0}, {3, 2}};
  CHECK(p.corners == want);
  CHECK(patches(224, 224, {}).patch == 32);
  CHECK(patches(224, 224, {}).corners.size() == 169);
  CHECK_THROWS_AS(patches(5, 4, {.patch = 5}), Error);
  CHECK_THROWS_AS(patches(5, 4, {.patch = 2, .stride = 3}), Error);
}

TEST_CASE("a pixel gets the mean of the patches over it") {
  const HeatMap map = spread(patches(3, 2, {.patch = 2, .stride = 1}), std::vector<double>{4, -2});
  CHECK(map.values == std::vector<double>{4, 4, 1, 1, -2, -2});
  CHECK(map.largest() == 4);
}

TEST_CASE("log-odds never saturate") {
  CHECK(close(log_odds(std::vector<double>{100, -100}, 0), 200, 0, 1e-12));
  CHECK(close(log_odds(std::vector<double>{1, 2, 3}, 2), 3 - std::log(std::exp(1.0) + std::exp(2.0)), 0, 1e-12));
}

TEST_CASE("heat maps are resized about pixel centres") {
  const HeatMap two{1, 2, {0, 4}};
  CHECK(resized(two, 1, 4).values == std::vector<double>{0, 1, 3, 4});
  CHECK(resized(two, 2, 2).values == std::vector<double>{0, 4, 0, 4});
}

TEST_CASE("viridis grows lighter all the way and an overlay leaves cold places alone") {
  double before = -1;
  for (int i = 0; i <= 100; ++i) {
    const Rgb c = viridis(i / 100.0);
    const double light = 0.2126 * c.r + 0.7152 * c.g + 0.0722 * c.b;
    CHECK(light > before - 0.6);  // levels are whole numbers
    before = light;
  }
  const Image film{1, 2, 1, {80, 80}};
  const Image shown = overlay(film, {1, 2, {-1, 2}}, 1);
  CHECK(shown.pixels == std::vector<uint8_t>{80, 80, 80, 253, 231, 37});
  CHECK(overlay(film, {1, 2, {0, 0}}).pixels == std::vector<uint8_t>{80, 80, 80, 80, 80, 80});  // nothing was found: no division by zero
}

TEST_CASE("what is encoded decodes back") {
  for (const int64_t c : {1, 3}) {
    Image image{7, 13, c, std::vector<uint8_t>(size_t(7 * 13 * c))};
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = uint8_t(i * 37 % 256);
    const Image png = decode_image(encode_png(image), "x.png");
    CHECK(png.h == 7);
    CHECK(png.c == c);
    CHECK(png.pixels == image.pixels);
    for (size_t i = 0; i < image.pixels.size(); ++i) image.pixels[i] = uint8_t(40 + 2 * (i / size_t(13 * c)));  // smooth
    const Image jpeg = decode_image(encode_jpeg(image, 95), "x.jpeg");
    CHECK(jpeg.w == 13);
    for (size_t i = 0; i < jpeg.pixels.size(); ++i)
      CHECK(std::abs(int(jpeg.pixels[i]) - int(image.pixels[i * size_t(c) / size_t(jpeg.c)])) <= 3);
  }
  CHECK_THROWS_AS(encode_png({2, 2, 1, {0}}), Error);
}

TEST_CASE("occlusion equals covering by hand, and views equal what they say") {
  const int64_t side = 32;
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cpu});
  Model model({.net = "mobilenet_v2",
               .height = side,
               .width = side,
               .head = {.dense = {8}, .dropout = {0}, .l2 = 0},
               .classes = {"a", "b"},
               .temperature = 1.5},
              memory);
  formula_weights(model.params, "MobileNetV2");
  freeze(model, {.name = "", .cut = model.base_layers().size()}, BnMode::inference);
  Workers workers(memory->shared_backend(), 2);
  BaseRunner runner(model, workers, {.shard = 1, .group = 1});
  Predictor predictor(model, runner, workers);
  const std::vector<uint8_t> film = formula_picture(side, side, "", 1);
  const auto score = [&](const std::vector<uint8_t>& pixels) {
    const ImageSource source = [&](std::span<const int64_t>, Context& c, Buffer x) {
      const AugmentImage plain;
      c.backend.augment(c.exec, {.n = 1, .h = side, .w = side, .c = 1}, {&plain, 1},
                        {const_cast<uint8_t*>(pixels.data()), DType::uint8, side * side}, preprocess_of("tf"), x);
    };
    const int64_t zero = 0;
    return predictor.logits({&zero, 1}, source);
  };
  const HeatMap map = occlusion_map(model, predictor, {film.data(), side, side, 1, nullptr}, 1, {.patch = 16, .stride = 16});
  double sum = 0;
  for (const uint8_t v : film) sum += v;
  const uint8_t mean = uint8_t(std::lround(sum / double(film.size())));
  for (int quarter = 0; quarter < 4; ++quarter) {
    std::vector<uint8_t> covered = film;
    for (int64_t y = 0; y < 16; ++y)
      for (int64_t x = 0; x < 16; ++x) covered[size_t((quarter / 2 * 16 + y) * side + quarter % 2 * 16 + x)] = mean;
    const double want = log_odds(score(film), 1) - log_odds(score(covered), 1);
    CHECK(close(map.values[size_t((quarter / 2 * 16 + 3) * side + quarter % 2 * 16 + 5)], want, 1e-6, 1e-5));
    CHECK(want != 0);
  }
}

TEST_CASE("the views of test-time augmentation") {
  CHECK(test_time_views("none", 224, 224).size() == 1);
  CHECK(test_time_views("none", 224, 224)[0].transform == Transform{});
  const std::vector<AugmentImage> two = test_time_views("flip", 10, 20);
  REQUIRE(two.size() == 2);
  CHECK(two[1].transform == flip_transform(true, false, 10, 20));
  const std::vector<AugmentImage> ten = test_time_views("shifts", 100, 50);
  REQUIRE(ten.size() == 10);
  CHECK(ten[1].transform == translation_transform(-4, 0));
  CHECK(ten[4].transform == translation_transform(0, 2));
  CHECK_THROWS_AS(test_time_views("more", 10, 10), Error);
}
