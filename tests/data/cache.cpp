#include "data/cache.hpp"

#include <sys/resource.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "data/data_hash.hpp"
#include "data/split.hpp"
#include "tests/data/expect_error.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain::test {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kH = 20, kW = 30, kGrey = 640, kColour = 1856;  // bytes of an image, rounded up to 64
constexpr int64_t kPlenty = 1 << 30;

// A folder with `grey` grey and `colour` coloured images of kH×kW, in two classes.
struct Folder {
  Folder(int grey, int colour) {
    for (int i = 0; i < grey + colour; ++i) {
      const std::string number = std::to_string(1000 + i);
      write_bytes(dir / ((i % 2 ? "A/" : "B/") + number + ".png"), png(picture(kH, kW, i < grey ? 1 : 3, uint64_t(i))));
    }
    read();
  }
  void read() {
    manifest = read_folder(dir.path());
    all = manifest.of(Part::all);
  }
  TempDir dir;
  Manifest manifest;
  std::vector<int64_t> all;
};

CacheOptions options(CacheTier tier, int threads = 3) {
  return {.h = kH, .w = kW, .tier = tier, .threads = threads, .free = FreeMemory{2 * kPlenty, 2 * kPlenty}};
}

Bytes bytes_of(const ImageView& v) { return {v.pixels, v.pixels + v.h * v.w * v.c}; }

void expect_right_pixels(const ImageCache& cache, const Folder& f) {
  for (int64_t i : cache.indices()) {
    const Image want = decode_image(f.manifest.file(i));
    const ImageView got = cache.get(i);
    CHECK(got.c == want.c);
    CHECK(got.h == kH);
    CHECK(got.w == kW);
    CHECK(bytes_of(got) == want.pixels);
    CHECK(cache.label(i) == f.manifest.entries[size_t(i)].label);
  }
}

}  // namespace

TEST_CASE("every tier and any number of threads give the same pixels and grey images take a third") {
  Folder f(12, 8);
  for (const CacheTier tier : {CacheTier::ram, CacheTier::file, CacheTier::none})
    for (const int threads : {1, 2, 5}) {
      CAPTURE(str(tier));
      CAPTURE(threads);
      const CacheOptions o = options(tier, threads);
      const CachePlan plan = plan_cache(f.manifest, f.all, o);
      CHECK(plan.tier == tier);
      const ImageCache cache(plan, f.manifest, f.all, nullptr, o);
      CHECK(cache.indices() == f.all);
      CHECK(cache.ram_bytes() == (tier == CacheTier::ram ? 12 * kGrey + 8 * kColour : 0));
      CHECK(cache.disk_bytes() == (tier == CacheTier::file ? 12 * kGrey + 8 * kColour : 0));
      CHECK(cache.uncached() == (tier == CacheTier::none ? 20 : 0));
      if (tier != CacheTier::none) CHECK(plan.bytes == cache.ram_bytes() + cache.disk_bytes());  // all twenty were sampled
      expect_right_pixels(cache, f);
    }
}

TEST_CASE("cached images need no file any more and images that are not cached do") {
  for (const CacheTier tier : {CacheTier::ram, CacheTier::file, CacheTier::none}) {
    Folder f(4, 2);
    const CacheOptions o = options(tier);
    const ImageCache cache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o);
    const Image want = decode_image(f.manifest.file(1));
    fs::remove_all(f.dir / "A");
    fs::remove_all(f.dir / "B");
    if (tier == CacheTier::none) expect_error(ErrorKind::data, {"No such file"}, [&] { cache.get(1); });
    else CHECK(bytes_of(cache.get(1)) == want.pixels);
  }
}

TEST_CASE("the mapped file leaves nothing behind even while it is used") {
  Folder f(4, 2);
  const TempDir folder;
  CacheOptions o = options(CacheTier::file);
  o.folder = folder.path();
  const ImageCache cache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o);
  CHECK(cache.disk_bytes() > 0);
  CHECK(fs::is_empty(folder.path()));
  // Its room is reserved to the last byte, or a disk that is full later would end the program in the middle of a write.
  bool found = false;
  for (const fs::directory_entry& open : fs::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (!fs::read_symlink(open.path(), gone).string().starts_with(folder.path().string())) continue;
    struct stat status {};
    REQUIRE(stat(open.path().c_str(), &status) == 0);
    CHECK(status.st_size >= cache.disk_bytes());
    CHECK(status.st_blocks * 512 >= status.st_size);
    found = true;
  }
  CHECK(found);
  expect_right_pixels(cache, f);
}

TEST_CASE("the automatic tier follows the budgets and says so") {
  Folder f(16, 0);
  CacheOptions o = options(CacheTier::automatic);
  const auto plan_for = [&](int64_t ram, int64_t disk) {
    o.free = FreeMemory{ram, disk};
    return plan_cache(f.manifest, f.all, o);
  };
  CHECK(plan_for(kPlenty, kPlenty).tier == CacheTier::ram);
  CHECK(plan_for(2 * 16 * kGrey, 0).tier == CacheTier::ram);  // half of the free memory may be used
  CHECK(plan_for(2 * 16 * kGrey - 2, kPlenty).tier == CacheTier::file);
  CHECK(plan_for(100, 100).tier == CacheTier::none);
  o.ram_budget = 16 * kGrey;
  CHECK(plan_for(0, 0).tier == CacheTier::ram);
  o.ram_budget = 16 * kGrey - 1;
  CHECK(plan_for(kPlenty, 0).tier == CacheTier::none);
  o.ram_budget = -1;
  CHECK(str(plan_for(kPlenty, kPlenty)) ==
        "cache: in memory; 16 images need 10.0 KiB (grey); 512.0 MiB of memory and 921.6 MiB of disk may be used");
  CHECK(str(plan_for(0, kPlenty)).starts_with("cache: in a mapped file; 16 images need 10.0 KiB"));
  CHECK(str(plan_for(0, 0)).starts_with("cache: none, images are decoded in every epoch; 16 images need 10.0 KiB"));
  const ImageCache cache(plan_for(0, 0), f.manifest, f.all, nullptr, o);
  CHECK(cache.uncached() == 16);
}

TEST_CASE("a tier that was asked for and does not fit is refused with its figures") {
  Folder f(16, 0);
  CacheOptions o = options(CacheTier::ram);
  o.free = FreeMemory{16 * kGrey, kPlenty};
  expect_error(ErrorKind::device,
               {"16 images of 30 by 20 in memory", "10.0 KiB are needed", "5.0 KiB may be used", "10.0 KiB are free", "the file cache"},
               [&] { plan_cache(f.manifest, f.all, o); });
  o.tier = CacheTier::file;
  o.free = FreeMemory{kPlenty, 1000};
  o.folder = f.dir.path();
  expect_error(ErrorKind::device, {"in a file", "10.0 KiB are needed", "900 B may be used", f.dir.path().string()},
               [&] { plan_cache(f.manifest, f.all, o); });
  o.folder = f.dir / "missing";
  o.free.reset();
  expect_error(ErrorKind::device, {"0 B may be used"}, [&] { plan_cache(f.manifest, f.all, o); });
  o.h = 0;
  expect_error(ErrorKind::usage, {"0 by 30"}, [&] { plan_cache(f.manifest, f.all, o); });
}

TEST_CASE("images with more channels than the sample go on in the next tier or are refused") {
  Folder f(200, 0);  // the sample takes 32 evenly spread ones
  std::vector<int64_t> sampled;
  for (int64_t k = 0; k < 32; ++k) sampled.push_back(k * 200 / 32);
  for (int64_t i : f.all)
    if (std::find(sampled.begin(), sampled.end(), i) == sampled.end())
      write_bytes(f.manifest.file(i), png(picture(kH, kW, 3, uint64_t(i))));
  CacheOptions o = options(CacheTier::automatic);
  o.ram_budget = 200 * kGrey;
  const CachePlan plan = plan_cache(f.manifest, f.all, o);
  CHECK(plan.tier == CacheTier::ram);
  CHECK(plan.sampled_grey == 32);
  const ImageCache cache(plan, f.manifest, f.all, nullptr, o);
  CHECK(cache.ram_bytes() <= 200 * kGrey);
  CHECK(cache.disk_bytes() == 32 * kGrey + 168 * kColour - cache.ram_bytes());
  expect_right_pixels(cache, f);
  o.free = FreeMemory{kPlenty, 0};  // no disk either
  const ImageCache third(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o);
  CHECK(third.uncached() > 0);
  expect_right_pixels(third, f);
  o.tier = CacheTier::ram;
  expect_error(ErrorKind::device, {"more channels than the sample", "allow more memory"},
               [&] { ImageCache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o); });
}

TEST_CASE("a full disk ends the file cache with a clear error") {
  Folder f(10, 0);
  CacheOptions o = options(CacheTier::file);
  const TempDir folder;
  o.folder = folder.path();
  const CachePlan plan = plan_cache(f.manifest, f.all, o);
  rlimit old{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &old) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, old.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  std::string message;
  try {
    ImageCache(plan, f.manifest, f.all, nullptr, o);
  } catch (const Error& e) {
    message = e.what();
    CHECK(int(e.kind()) == int(ErrorKind::device));
  }
  setrlimit(RLIMIT_FSIZE, &old);
  std::signal(SIGXFSZ, handler);
  CAPTURE(message);
  CHECK(message.find("caching images in a file in " + folder.path().string()) == 0);
  CHECK(message.find("making room") != std::string::npos);
  CHECK(message.find("free some space") != std::string::npos);
  CHECK(fs::is_empty(folder.path()));
}

TEST_CASE("all bad images are named before the training or left out") {
  Folder f(40, 0);
  std::vector<int64_t> bad;
  for (int64_t i = 3; i < 30; ++i) bad.push_back(i);
  for (int64_t i : bad) write_text(f.manifest.file(i), i == 3 ? "" : "no image");
  CacheOptions o = options(CacheTier::ram);
  const std::string message = expect_error(ErrorKind::data,
                                           {"27 of 40 cannot be used", f.manifest.file(3).string() + ": the file is empty",
                                            f.manifest.file(22).string() + ": this is text", "… and 7 more", "--bad-images skip"},
                                           [&] { ImageCache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o); });
  CHECK(message.find(f.manifest.file(23).string()) == std::string::npos);  // twenty are enough
  o.bad_images = BadImages::skip;
  for (const CacheTier tier : {CacheTier::ram, CacheTier::none}) {
    o.tier = tier;
    const ImageCache cache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o);
    CHECK(cache.indices().size() == 13);
    REQUIRE(cache.bad().size() == 27);
    CHECK(cache.bad()[5].index == 8);
    CHECK(cache.bad()[5].why.find("text, not an image") != std::string::npos);
    expect_error(ErrorKind::failed, {"image 8 is not in the cache"}, [&] { cache.get(8); });
    expect_right_pixels(cache, f);
  }
  for (int64_t i : f.all) write_text(f.manifest.file(i), "no image");
  expect_error(ErrorKind::data, {"40 of 40 cannot be used", "no image is left"},
               [&] { ImageCache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o); });
}

TEST_CASE("the cache hashes its files for the data hash and reports its progress in order") {
  Folder f(9, 3);
  CacheOptions o = options(CacheTier::ram, 4);
  o.hashes = true;
  int64_t last = 0;
  o.progress = [&](int64_t done, int64_t total) {
    CHECK(done == ++last);
    CHECK(total == 12);
  };
  const ImageCache cache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o);
  CHECK(last == 12);
  Manifest m = f.manifest;
  CHECK(cache.hashes() == hash_files(m, f.all, 1));
  for (Entry& e : m.entries) e.sha256 = "known: " + e.path;  // what is known is not computed again
  o.progress = {};
  const ImageCache again(plan_cache(m, f.all, o), m, f.all, nullptr, o);
  CHECK(again.hashes() == hash_files(m, f.all, 1));
  CHECK(again.hashes()[0] == "known: " + m.entries[size_t(f.all[0])].path);
}

TEST_CASE("what the progress function throws ends the filling") {
  Folder f(30, 0);
  CacheOptions o = options(CacheTier::ram, 2);
  o.progress = [](int64_t done, int64_t) {
    if (done == 5) fail(ErrorKind::failed, "interrupted");
  };
  expect_error(ErrorKind::failed, {"interrupted"}, [&] { ImageCache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, nullptr, o); });
}

TEST_CASE("some images of a manifest can be cached and the same one twice cannot") {
  Folder f(10, 0);
  const CacheOptions o = options(CacheTier::ram);
  const std::vector<int64_t> some = {7, 2, 5};
  const ImageCache cache(plan_cache(f.manifest, some, o), f.manifest, some, nullptr, o);
  CHECK(cache.indices() == some);
  CHECK(bytes_of(cache.get(5)) == decode_image(f.manifest.file(5)).pixels);
  expect_error(ErrorKind::failed, {"image 3 is not in the cache"}, [&] { cache.get(3); });
  expect_error(ErrorKind::failed, {"image 10 is not in the cache"}, [&] { cache.get(10); });
  const std::vector<int64_t> twice = {1, 1};
  expect_error(ErrorKind::failed, {"is asked for twice"},
               [&] { ImageCache(plan_cache(f.manifest, twice, o), f.manifest, twice, nullptr, o); });
}

TEST_CASE("images of another size are resized the same in every tier") {
  Folder f(6, 2);
  write_bytes(f.manifest.file(0), png(picture(57, 11, 3)));
  const std::shared_ptr<Backend> backend = make_reference_backend();
  std::vector<Bytes> pixels[2];
  for (const CacheTier tier : {CacheTier::ram, CacheTier::none}) {
    CacheOptions o = options(tier);
    o.h = 17, o.w = 23;
    const ImageCache cache(plan_cache(f.manifest, f.all, o), f.manifest, f.all, backend, o);
    for (int64_t i : f.all) {
      CHECK(cache.get(i).h == 17);
      CHECK(cache.get(i).w == 23);
      pixels[tier == CacheTier::ram].push_back(bytes_of(cache.get(i)));
    }
    std::atomic<int> wrong{0};  // and from many threads
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
      threads.emplace_back([&] {
        for (size_t i = 0; i < f.all.size(); ++i) wrong += bytes_of(cache.get(f.all[i])) != pixels[tier == CacheTier::ram][i];
      });
    for (std::thread& t : threads) t.join();
    CHECK(wrong == 0);
  }
  CHECK(pixels[0] == pixels[1]);
}

TEST_CASE("free memory is measured and bytes are readable") {
  const FreeMemory free = measure_free_memory(fs::temp_directory_path());
  CHECK(free.ram > 0);
  CHECK(free.disk > 0);
  CHECK(measure_free_memory("/there/is/no/such/folder").disk == 0);
  CHECK(str_bytes(0) == "0 B");
  CHECK(str_bytes(1536) == "1.5 KiB");
  CHECK(str_bytes(int64_t(3) << 40) == "3.0 TiB");
}

TEST_CASE("cache tiers have names") {
  for (CacheTier tier : {CacheTier::automatic, CacheTier::ram, CacheTier::file, CacheTier::none})
    CHECK(parse_cache_tier(str(tier)) == tier);
  expect_error(ErrorKind::usage, {"'disk'", "automatic, ram, file or none"}, [] { parse_cache_tier("disk"); });
}

}  // namespace ptrain::test
