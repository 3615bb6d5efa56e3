// Batches picked from images on the device are those that would have been uploaded.
#include "train/device_images.hpp"

#include <fstream>

#include "data/encode.hpp"
#include "tests/support/support.hpp"
#include "train/fit.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

constexpr int64_t kSide = 40;

// Five images in two classes; the last one is in colour when `colour`.
std::filesystem::path make_films(const std::filesystem::path& dir, bool colour) {
  for (int64_t i = 0; i < 5; ++i) {
    Image image{.h = kSide + 3, .w = kSide, .c = colour && i == 4 ? 3 : 1, .pixels = {}};
    for (int64_t k = 0; k < image.h * image.w * image.c; ++k) image.pixels.push_back(uint8_t((k * (7 + i) + k * k / 31) % 251));
    const std::filesystem::path file = dir / (i % 2 ? "a" : "b") / concat(i, ".png");
    std::filesystem::create_directories(file.parent_path());
    const std::vector<uint8_t> bytes = encode_png(image);
    std::ofstream(file, std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), std::streamsize(bytes.size()));
  }
  return dir;
}

struct Films {
  explicit Films(bool colour) : manifest(read_folder(make_films(temp / "films", colour))) {
    for (int64_t i = 0; i < int64_t(manifest.entries.size()); ++i) all.push_back(i);
    const CacheOptions options{.h = kSide, .w = kSide};
    cache.emplace(plan_cache(manifest, all, options), manifest, all, make_cpu_backend(), options);
  }
  TempDir temp;
  Manifest manifest;
  std::vector<int64_t> all;
  std::optional<ImageCache> cache;
};

std::vector<float> shown(const ImageSource& source, const Model& model, const std::vector<int64_t>& images, DType type) {
  const std::shared_ptr<Memory>& memory = model.memory();
  const auto exec = memory->backend().make_exec(1);
  Tape tape;
  Context c{memory->backend(), *exec, memory, tape};
  const Tensor x = c.tensor(model.input(int64_t(images.size())), type);
  source(images, c, x.buffer());
  return x.to_floats();
}

}  // namespace

TEST_CASE("a batch picked on the device has the bits of a batch that is uploaded") {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cuda_sim});
  const Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .classes = {"a", "b"}}, memory);
  for (const bool colour : {false, true}) {
    const Films films(colour);
    const DeviceImages stored(*films.cache, films.all, memory, 1 << 20);
    CHECK(stored.pixels().dim(3) == (colour ? 3 : 1));
    CHECK_MESSAGE(stored.describe().starts_with("images: in the device's memory"), stored.describe());
    for (const DType type : {DType::float32, DType::float16})
      for (const std::vector<int64_t>& batch : std::vector<std::vector<int64_t>>{{0, 1, 2, 3, 4}, {3, 0, 3}, {4}})
        for (const AugmentOptions& how : {AugmentOptions{}, augment_preset("strong")}) {
          const std::vector<float> picked = shown(augmented_source(model, *films.cache, how, 5, 2, &stored), model, batch, type);
          CHECK(picked == shown(augmented_source(model, *films.cache, how, 5, 2), model, batch, type));
        }
    CHECK(shown(plain_source(model, *films.cache, &stored), model, {1}, DType::float32) !=
          shown(plain_source(model, *films.cache, &stored), model, {2}, DType::float32));
  }
}

TEST_CASE("images that do not fit the budget, or are not among those stored, are uploaded") {
  const std::shared_ptr<Memory> memory = open_device({DeviceKind::cuda_sim});
  const Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .classes = {"a", "b"}}, memory);
  const Films films(false);
  const DeviceImages exact(*films.cache, films.all, memory, 5 * kSide * kSide),
      small(*films.cache, films.all, memory, 5 * kSide * kSide - 1);
  CHECK(exact.holds(films.all));
  CHECK_FALSE(small.holds(films.all));
  CHECK_FALSE(small.pixels().has_data());
  CHECK_MESSAGE(small.describe().starts_with("images: uploaded batch by batch"), small.describe());
  const DeviceImages few(*films.cache, std::vector<int64_t>{1, 2}, memory, 1 << 20);
  CHECK(few.holds(std::vector<int64_t>{2, 1}));
  for (const DeviceImages* stored : {&small, &few})
    CHECK(shown(plain_source(model, *films.cache, stored), model, {1, 3}, DType::float32) ==
          shown(plain_source(model, *films.cache), model, {1, 3}, DType::float32));
}

// A draw depends on seed, epoch and image alone. Between the borders of source pixels positions may differ by a rounding, and so may
// values.
TEST_CASE("the same seed gives the same augmented batch on every backend") {
  const Films films(true);
  const auto batch_on = [&](Device device, uint64_t seed) {
    const Model model({.net = "mobilenet_v2", .height = kSide, .width = kSide, .classes = {"a", "b"}}, open_device(device));
    return shown(augmented_source(model, *films.cache, augment_preset("strong"), seed, 2), model, films.all, DType::float32);
  };
  const std::vector<float> want = batch_on({DeviceKind::reference}, 5);
  for (const Device device : {Device{DeviceKind::cpu}, Device{DeviceKind::cuda_sim}}) {
    INFO("on ", str(device));
    const std::vector<float> got = batch_on(device, 5);
    const std::string text = difference(got, want, 1e-3, 0);
    CHECK_MESSAGE(text.empty(), text);
    CHECK(!difference(batch_on(device, 6), want, 0.1, 0).empty());
  }
}
