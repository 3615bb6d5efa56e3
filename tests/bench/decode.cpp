// How fast images become pixels: run build/release/bin/bench_decode. Real X-rays are used when they lie beside the checkout
// (PTRAIN_SHARED names another place), else pictures of the same size made here.
#include <benchmark/benchmark.h>

#include <cstdlib>

#include "data/cache.hpp"
#include "data/file.hpp"
#include "data/loader.hpp"
#include "data/shuffle.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain {
namespace {

constexpr int64_t kMost = 1000;

// Files of 224×224, three equal channels stored, as X-rays are.
const std::vector<std::vector<uint8_t>>& xrays() {
  static const std::vector<std::vector<uint8_t>> files = [] {
    std::vector<std::vector<uint8_t>> all;
    const char* named = std::getenv("PTRAIN_SHARED");
    const std::filesystem::path folder = std::filesystem::path(named ? named : PTRAIN_SOURCE_DIR "/../shared") / "data/chest_xray/train";
    if (std::filesystem::exists(folder)) {
      for (const std::string& name : list_images(folder))
        if (all.size() < kMost) all.push_back(read_bytes(folder / name, "reading", 1 << 24));
      return all;
    }
    for (uint64_t i = 0; i < 64; ++i) {
      Image image = test::picture(224, 224, 3, i);
      for (size_t p = 0; p < image.pixels.size(); ++p) image.pixels[p] = image.pixels[p / 3 * 3];
      all.push_back(test::jpeg(image, {.quality = 75}));
    }
    return all;
  }();
  return files;
}

void decode(benchmark::State& state) {
  const auto& files = xrays();
  size_t i = size_t(state.thread_index()) * 17;
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(files[++i % files.size()], "x-ray"));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode)->Threads(1)->Threads(2)->UseRealTime();

void decode_colour(benchmark::State& state) {
  const auto file = test::jpeg(test::picture(224, 224, 3), {.quality = 75});
  for (auto _ : state) benchmark::DoNotOptimize(decode_image(file, "colour"));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(decode_colour);

// A data folder on the disk for the benchmarks below.
const Manifest& folder() {
  static const struct Dir {
    std::filesystem::path path = std::filesystem::temp_directory_path() / "ptrain-bench-decode";
    ~Dir() { std::filesystem::remove_all(path); }
  } dir;
  static const Manifest manifest = [] {
    for (size_t i = 0; i < xrays().size(); ++i)
      test::write_bytes(dir.path / (i % 2 ? "A" : "B") / (std::to_string(i) + ".jpeg"), xrays()[i]);
    return read_folder(dir.path);
  }();
  return manifest;
}

// Files to pixels in memory, hashed on the way: what a run does before its first step.
void fill_cache(benchmark::State& state) {
  const Manifest& m = folder();
  const std::vector<int64_t> all = m.of(Part::all);
  const CacheOptions o{.tier = CacheTier::ram, .threads = int(state.range(0)), .hashes = true};
  for (auto _ : state) benchmark::DoNotOptimize(ImageCache(plan_cache(m, all, o), m, all, nullptr, o).ram_bytes());
  state.SetItemsProcessed(state.iterations() * int64_t(all.size()));
}
BENCHMARK(fill_cache)->Arg(1)->Arg(2)->UseRealTime();

void one_epoch(benchmark::State& state) {
  const Manifest& m = folder();
  const std::vector<int64_t> all = m.of(Part::all);
  const CacheOptions o{.tier = state.range(0) == 0 ? CacheTier::ram : CacheTier::none, .threads = 2};
  const ImageCache cache(plan_cache(m, all, o), m, all, nullptr, o);
  uint32_t epoch = 0;
  for (auto _ : state) {
    Loader loader(batches_of(cache), shuffled(all, 1, ++epoch), {.threads = 2});
    for (Batch b; loader.next(b);) benchmark::DoNotOptimize(b.pixels.data());
  }
  state.SetItemsProcessed(state.iterations() * int64_t(all.size()));
  state.SetLabel(str(o.tier));
}
BENCHMARK(one_epoch)->Arg(0)->Arg(1)->UseRealTime();

}  // namespace
}  // namespace ptrain

BENCHMARK_MAIN();
