// Real weights: converted, and what the nets then see in real images.
#include "data/npy.hpp"
#include "layers/formula.hpp"
#include "tests/tools/program.hpp"

using namespace ptrain;
using namespace ptrain::test;
namespace fs = std::filesystem;

namespace {

void convert_file(const fs::path& in, const fs::path& out, std::vector<std::string> more = {}) {
  std::vector<std::string> command{bin("ptrain-convert").string(), in.string(), "--out", out.string()};
  command.insert(command.end(), more.begin(), more.end());
  const Finished f = run(command);
  REQUIRE_MESSAGE(f.code == 0, f.err);
}

std::vector<float> weight_of(const fs::path& model, const std::string& key) {
  const WeightFileReader file(model);
  for (const StoredTensor& t : file.tensors())
    if (t.key() == key) {
      std::vector<float> values(size_t(t.shape.size()));
      file.read(t, values);
      return values;
    }
  FAIL("no ", key, " in ", model.string());
  return {};
}

}  // namespace

TEST_CASE("MobileNetV2 with its real weights knows a cat, an admiral, a hot dog and a parrot") {
  const fs::path weights = shared() / "weights", check = weights / "mobilenet_v2_check";
  if (!present("goldens", check)) return;
  const TempDir dir;
  convert_file(weights / "mobilenet_v2_imagenet_dequantized.h5", dir / "m.h5");
  const Finished f = run_ptrain({"features", "--net", "mobilenet_v2", "--weights", (dir / "m.h5").string(), "--images", check.string(),
                                 "--pool", "avg", "--out", (dir / "f.npy").string()});
  REQUIRE_MESSAGE(f.code == 0, f.err);
  const NpyArray features = ptrain::read_npy(dir / "f.npy");
  REQUIRE(features.shape == std::vector<int64_t>{4, 1280});
  const std::map<std::string, Array> want = read_npz(check / "expected_outputs.npz");
  const nlohmann::json top5 = read_json(check / "expected_top5.json");
  const std::vector<float> kernel = weight_of(dir / "m.h5", "predictions/kernel"), bias = weight_of(dir / "m.h5", "predictions/bias");
  size_t row = 0;
  for (const std::string name : {"cat", "grace_hopper", "hot_dog", "parrot"}) {
    CAPTURE(name);
    const std::vector<double> got(features.values.begin() + int64_t(row * 1280), features.values.begin() + int64_t(row * 1280 + 1280));
    ++row;
    CHECK(difference(got, want.at(name + "_gap1280").values, 2e-4, 0) == "");
    std::vector<double> logits(bias.begin(), bias.end());
    for (size_t i = 0; i < 1280; ++i)
      for (size_t k = 0; k < 1000; ++k) logits[k] += got[i] * kernel[i * 1000 + k];
    CHECK(difference(logits, want.at(name + "_logits").values, 2e-3, 0) == "");
    CHECK(std::max_element(logits.begin(), logits.end()) - logits.begin() == top5[name][0][0]);
  }
}

TEST_CASE("the VGG16 inside another author's model works as a base") {
  const fs::path file = shared() / "weights" / "vgg16_hed.weights.h5";
  if (!present("goldens", file)) return;
  const TempDir dir;
  convert_file(file, dir / "v.h5", {"--allow-unused"});
  const int64_t h = 37, w = 52;
  const std::vector<float> x = formula_input(1, h, w);
  write_npy(dir / "x.npy", {1, h, w, 3}, x);
  const auto features = [&](std::vector<std::string> more) {
    std::vector<std::string> command{"features",
                                     "--net",
                                     "vgg16",
                                     "--weights",
                                     (dir / "v.h5").string(),
                                     "--npy",
                                     (dir / "x.npy").string(),
                                     "--out",
                                     (dir / "y.npy").string()};
    command.insert(command.end(), more.begin(), more.end());
    const Finished f = run_ptrain(command);
    REQUIRE_MESSAGE(f.code == 0, f.err);
    return ptrain::read_npy(dir / "y.npy");
  };
  const NpyArray y = features({});
  CHECK(y.shape == std::vector<int64_t>{1, 1, 1, 512});
  CHECK(*std::max_element(y.values.begin(), y.values.end()) > 0);

  const NpyArray first = features({"--layer", "block1_conv1"});
  REQUIRE(first.shape == std::vector<int64_t>{1, h, w, 64});
  const std::vector<float> kernel = weight_of(dir / "v.h5", "block1_conv1/kernel"), bias = weight_of(dir / "v.h5", "block1_conv1/bias");
  for (const auto& [p, q] : {std::pair<int64_t, int64_t>{0, 0}, {17, 23}, {h - 1, w - 1}})
    for (int64_t k = 0; k < 64; ++k) {
      double sum = bias[size_t(k)];
      for (int64_t r = 0; r < 3; ++r)
        for (int64_t s = 0; s < 3; ++s)
          for (int64_t c = 0; c < 3; ++c) {
            const int64_t i = p + r - 1, j = q + s - 1;
            if (i >= 0 && i < h && j >= 0 && j < w)
              sum += double(x[size_t((i * w + j) * 3 + c)]) * kernel[size_t(((r * 3 + s) * 3 + c) * 64 + k)];
          }
      CHECK(close(first.values[size_t((p * w + q) * 64 + k)], std::max(sum, 0.0), 1e-5, 1e-5));
    }
}
