#include "data/loader.hpp"

#include <atomic>
#include <chrono>
#include <numeric>

#include "data/shuffle.hpp"
#include "tests/data/expect_error.hpp"
#include "tests/data/make_images.hpp"

namespace ptrain::test {
namespace {

std::vector<int64_t> numbers(int64_t n) {
  std::vector<int64_t> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

void remember(std::span<const int64_t> indices, Batch& batch) { batch.indices.assign(indices.begin(), indices.end()); }

std::vector<std::vector<int64_t>> all_batches(Loader& loader) {
  std::vector<std::vector<int64_t>> batches;
  for (Batch b; loader.next(b);) batches.push_back(b.indices);
  return batches;
}

}  // namespace

TEST_CASE("batches come in order for any number of threads though they are made out of order") {
  const std::vector<int64_t> order = shuffled(numbers(103), 1, 1);
  for (const int threads : {1, 2, 3, 8})
    for (const int ahead : {1, 4}) {
      Loader loader(
          [](std::span<const int64_t> indices, Batch& batch) {
            std::this_thread::sleep_for(std::chrono::microseconds(100 * (indices[0] % 7)));
            remember(indices, batch);
          },
          order, {.batch = 10, .threads = threads, .ahead = ahead});
      CHECK(loader.batches() == 11);
      std::vector<int64_t> got;
      size_t count = 0;
      for (const std::vector<int64_t>& b : all_batches(loader)) {
        CHECK(b.size() == (++count == 11 ? 3 : 10));
        got.insert(got.end(), b.begin(), b.end());
      }
      CHECK(got == order);
      Batch b;
      CHECK_FALSE(loader.next(b));
    }
}

TEST_CASE("a last batch that is not full can be left out") {
  Loader loader(remember, numbers(25), {.batch = 10, .drop_last = true});
  CHECK(loader.batches() == 2);
  CHECK(all_batches(loader).size() == 2);
  Loader even(remember, numbers(20), {.batch = 10, .drop_last = true});
  CHECK(all_batches(even).size() == 2);
  Loader none(remember, {}, {.batch = 10});
  CHECK(all_batches(none).empty());
}

TEST_CASE("no more batches are prepared than asked for") {
  std::atomic<int> made{0};
  Loader loader([&](std::span<const int64_t> indices, Batch& batch) { ++made, remember(indices, batch); }, numbers(100), {.batch = 1, .threads = 2, .ahead = 5});
  const auto settle = [&] {
    int last = -1;
    while (last != made) last = made, std::this_thread::sleep_for(std::chrono::milliseconds(30));
    return last;
  };
  CHECK(settle() == 5);
  Batch b;
  for (int i = 0; i < 3; ++i) CHECK(loader.next(b));
  CHECK(settle() == 8);
}

TEST_CASE("an error comes in its turn and ends the loader") {
  for (const int threads : {1, 4}) {
    Loader loader(
        [](std::span<const int64_t> indices, Batch& batch) {
          if (indices[0] == 30) fail(ErrorKind::data, "image thirty");
          if (indices[0] == 60) throw std::runtime_error("a later one");
          remember(indices, batch);
        },
        numbers(100), {.batch = 10, .threads = threads, .ahead = 8});
    Batch b;
    for (int64_t i = 0; i < 3; ++i) {
      REQUIRE(loader.next(b));
      CHECK(b.indices[0] == 10 * i);
    }
    expect_error(ErrorKind::data, {"image thirty"}, [&] { loader.next(b); });
    CHECK_FALSE(loader.next(b));
  }
}

TEST_CASE("a loader can be left at any time") {
  for (int taken = 0; taken < 6; ++taken)
    for (const int threads : {1, 3}) {
      Loader loader(remember, numbers(50), {.batch = 10, .threads = threads, .ahead = 2});
      Batch b;
      for (int i = 0; i < taken; ++i) loader.next(b);
    }
  Loader failed([](std::span<const int64_t>, Batch&) { fail(ErrorKind::data, "never seen"); }, numbers(50), {.threads = 3});
}

TEST_CASE("stop wakes a consumer that waits") {
  std::atomic<bool> go{false};
  Loader loader(
      [&](std::span<const int64_t>, Batch&) {
        while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
      },
      numbers(50), {.batch = 10, .threads = 2});
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    loader.stop();
  });
  Batch b;
  CHECK_FALSE(loader.next(b));  // though no batch was ever made
  go = true;
  stopper.join();
}

TEST_CASE("batches of a cache hold its pixels and grey images join coloured ones") {
  const TempDir dir;
  for (int i = 0; i < 12; ++i)
    write_bytes(dir / ((i % 3 ? "A/" : "B/") + std::to_string(100 + i) + ".png"), png(picture(8, 6, i == 5 ? 3 : 1, uint64_t(i))));
  const Manifest m = read_folder(dir.path());
  const std::vector<int64_t> all = m.of(Part::all);
  for (const CacheTier tier : {CacheTier::ram, CacheTier::none}) {
    const CacheOptions o{.h = 8, .w = 6, .tier = tier, .free = FreeMemory{1 << 30, 1 << 30}};
    const ImageCache cache(plan_cache(m, all, o), m, all, nullptr, o);
    Loader loader(batches_of(cache), all, {.batch = 5, .threads = 2});
    int coloured = 0, images = 0;
    for (Batch b; loader.next(b);) {
      CHECK(b.n == int64_t(b.indices.size()));
      CHECK(b.h == 8);
      CHECK(b.w == 6);
      REQUIRE(b.pixels.size() == size_t(b.n * 8 * 6 * b.c));
      coloured += b.c == 3;
      for (int64_t i = 0; i < b.n; ++i, ++images) {
        CHECK(b.labels[size_t(i)] == m.entries[size_t(b.indices[size_t(i)])].label);
        const Image want = decode_image(m.file(b.indices[size_t(i)]));
        size_t wrong = 0;
        for (int64_t p = 0; p < 8 * 6; ++p)
          for (int64_t c = 0; c < b.c; ++c)
            wrong += b.pixels[size_t((i * 48 + p) * b.c + c)] != want.pixels[size_t(want.c == 1 ? p : 3 * p + c)];
        CHECK(wrong == 0);
      }
    }
    CHECK(coloured == 1);
    CHECK(images == 12);
  }
}

TEST_CASE("batch buffers are used again") {
  std::atomic<int> fresh{0};
  Loader loader(
      [&](std::span<const int64_t>, Batch& batch) {
        fresh += batch.pixels.capacity() < 5000;
        batch.pixels.resize(5000);
      },
      numbers(100), {.batch = 1, .threads = 2, .ahead = 3});
  for (Batch b; loader.next(b);) CHECK(b.pixels.size() == 5000);
  CHECK(fresh <= 4);  // three places and the consumer's own
}

}  // namespace ptrain::test
