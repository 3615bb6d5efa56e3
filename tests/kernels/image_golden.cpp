// Images against tf.image.resize, Keras' preprocess_input and Keras' augmentation layers.
#include "layers/formula.hpp"
#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

std::vector<double> picture(int64_t h, int64_t w) {
  const std::vector<uint8_t> bytes = formula_picture(h, w);
  return {bytes.begin(), bytes.end()};
}

// Runs augment on one image and returns its three channels without preprocessing.
std::vector<double> augmented(const Target& target, const AugmentShape& s, const AugmentImage& image, const std::vector<double>& bytes) {
  Trial t(target);
  const Guarded &x = t.input(bytes, DType::uint8), &y = t.output(s.h * s.w * 3);
  t.backend().augment(t.exec(), s, {&image, 1}, x, {}, y);
  return t.read(y);
}

// Keras' golden image has fractions, the operation takes bytes. Warp, contrast and brightness are linear as long as nothing is
// clipped, and leave a constant alone. So the image, at a quarter of its contrast, goes through in four planes of base-64 digits, each
// digit around 96 in the middle of the range, and the planes are put together again behind it.
std::vector<double> augmented_fractions(const Target& target, AugmentShape s, AugmentImage by, const std::vector<double>& image) {
  constexpr double kMiddle = 96;
  std::vector<double> rest = image, sum(image.size());
  double fill = double(s.fill_value);
  by.brightness /= 4;
  double weight = 4;
  for (int plane = 0; plane < 4; ++plane, weight /= 64) {
    const auto digit = [&](double& v) {
      const double d = std::floor(v / weight);
      v -= d * weight;
      return kMiddle + d;
    };
    std::vector<double> bytes;
    for (double& v : rest) bytes.push_back(digit(v));
    s.fill_value = float(digit(fill));
    const std::vector<double> out = augmented(target, s, by, bytes);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += weight * (out[i] - kMiddle);
    by.brightness = 0;  // once
  }
  return sum;
}

// How far the result moves when every source position moves by 1e-4 pixels: large only on the borders between two source pixels.
std::vector<double> freedom(const Target& target, const AugmentShape& s, const AugmentImage& by, const std::vector<double>& image) {
  const std::vector<double> here = augmented_fractions(target, s, by, image);
  std::vector<double> most(here.size());
  for (const auto& [dx, dy] : {std::pair{1e-4f, 0.f}, {-1e-4f, 0.f}, {0.f, 1e-4f}, {0.f, -1e-4f}}) {
    AugmentImage moved = by;
    moved.transform.a2 += dx;
    moved.transform.b2 += dy;
    const std::vector<double> there = augmented_fractions(target, s, moved, image);
    for (size_t i = 0; i < most.size(); ++i) most[i] = std::max(most[i], std::fabs(there[i] - here[i]));
  }
  return most;
}

AugmentImage parameters(const nlohmann::json& c, int64_t h, int64_t w) {
  AugmentImage by;
  if (c.contains("transform")) {
    const auto t = c["transform"].get<std::vector<float>>();
    by.transform = {t[0], t[1], t[2], t[3], t[4], t[5], t[6], t[7]};
  }
  const std::string mode = c.value("mode", "");
  if (mode.starts_with("horizontal")) by.transform.a0 = -1, by.transform.a2 = float(w - 1);
  if (mode.ends_with("vertical")) by.transform.b1 = -1, by.transform.b2 = float(h - 1);
  by.contrast = c.value("factor", 1.f);
  by.brightness = c.value("rgb_delta", 0.f);
  return by;
}

}  // namespace

TEST_CASE("augmentation equals Keras' layers") {
  NEEDS_GOLDENS("images");
  const auto arrays = read_npz(shared() / "keras" / "images" / "augment.npz");
  const nlohmann::json info = read_json(shared() / "keras" / "images" / "augment.json");
  const std::vector<double>& image = arrays.at("image").values;
  const std::map<std::string, FillMode> fills{{"reflect", FillMode::reflect}, {"nearest", FillMode::nearest}, {"constant", FillMode::constant}, {"wrap", FillMode::wrap}};
  const AugmentShape shape{.n = 1, .h = info["height"], .w = info["width"], .c = 3};
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32) return;
    int cases = 0;
    for (const nlohmann::json& c : info["cases"]) {
      const auto name = c["name"].get<std::string>();
      CAPTURE(name);
      AugmentShape s = shape;
      s.fill = fills.at(c.value("fill_mode", "reflect"));
      s.fill_value = c.value("fill_value", 0.f);
      s.interpolation = c.value("interpolation", "bilinear") == "nearest" ? Interpolation::nearest : Interpolation::bilinear;
      const AugmentImage by = parameters(c, s.h, s.w);
      std::vector<double> got = augmented_fractions(target, s, by, image);
      if (by.contrast != 1 || by.brightness != 0)
        for (double& v : got) v = std::clamp(v, 0., 255.);
      const std::vector<double>& want = arrays.at(name).values;
      // The reference rounds positions as Keras does. Others may fall to the other side of a border that is 1e-4 pixels away.
      const std::vector<double> free = target.is_reference ? std::vector<double>(want.size()) : freedom(target, s, by, image);
      size_t off = 0;
      for (size_t i = 0; i < want.size(); ++i) off += !close(got[i], want[i], 2e-3 + free[i], 0);
      CHECK_MESSAGE(off == 0, off, " pixels differ; without freedom: ", difference(got, want, 2e-3, 0));
      ++cases;
    }
    CHECK(cases == 47);
  });
}

TEST_CASE("resize_bilinear equals tf.image.resize") {
  NEEDS_GOLDENS("images");
  const auto arrays = read_npz(shared() / "keras" / "images" / "resize.npz");
  const auto rows = read_tsv(shared() / "keras" / "images" / "resize.tsv");
  on_each_backend([&](const Target& target) {
    if (target.dtype != DType::float32) return;
    int cases = 0;
    for (const Row& row : rows) {
      const std::string& name = row.at("case");
      ResizeShape s{.c = 3};
      char method[32] = {};
      REQUIRE(std::sscanf(name.c_str(), "%ldx%ld_to_%ldx%ld_%31s", &s.h, &s.w, &s.out_h, &s.out_w, method) == 5);
      if (std::string(method) != "bilinear") continue;
      CAPTURE(name);
      Trial t(target);
      const Guarded &x = t.input(picture(s.h, s.w), DType::uint8), &y = t.output(s.out_h * s.out_w * 3);
      t.backend().resize_bilinear(t.exec(), s, x, y);
      if (arrays.contains(name)) t.check("y", y, arrays.at(name).values, Tolerance{1e-4, 0});
      const std::vector<double> got = t.read(y);
      std::istringstream samples(row.at("samples"));
      size_t place = 0;
      char colon = 0;
      int count = 0;
      for (double want = 0; samples >> place >> colon >> want; ++count) CHECK_MESSAGE(close(got.at(place), want, 1e-4, 0), name, " at ", place, ": ", got[place], ", want ", want);
      CHECK(count > 0);
      ++cases;
    }
    CHECK(cases == 3);
  });
}

TEST_CASE("preprocessing equals preprocess_input") {
  NEEDS_GOLDENS("images/preprocess.json");
  const nlohmann::json golden = read_json(shared() / "keras" / "images" / "preprocess.json");
  const auto flat = [](const nlohmann::json& array) {
    std::vector<double> v;
    for (const nlohmann::json& n : array.flatten()) v.push_back(n);
    return v;
  };
  Preprocess caffe{.bgr = true}, tf, torch;
  const float mean[] = {103.939f, 116.779f, 123.68f}, rgb_mean[] = {0.485f, 0.456f, 0.406f}, deviation[] = {0.229f, 0.224f, 0.225f};
  for (int c = 0; c < 3; ++c) {
    caffe.shift[c] = -mean[c];
    tf.scale[c] = 1 / 127.5f, tf.shift[c] = -1;
    torch.scale[c] = 1 / (255 * deviation[c]), torch.shift[c] = -rgb_mean[c] / deviation[c];
  }
  const std::pair<const char*, Preprocess> modes[] = {{"caffe (vgg16, resnet)", caffe}, {"tf (mobilenet_v2, inception_v3)", tf}, {"torch (densenet)", torch}};
  on_each_backend([&](const Target& target) {
    for (const auto& [name, mode] : modes) {
      CAPTURE(name);
      Trial t(target);
      const AugmentImage as_it_is;
      const Guarded &x = t.input(flat(golden["input"]), DType::uint8), &y = t.output(12);
      t.backend().augment(t.exec(), {.n = 1, .h = 2, .w = 2, .c = 3}, {&as_it_is, 1}, x, mode, y);
      t.check("y", y, flat(golden[name]), Tolerance{2e-6, 1.01 * rounding_of(target.dtype) + 1e-6});
    }
  });
}
