#include "tensor/memory.hpp"

#include <cstring>
#include <limits>

#include "kernels/philox.hpp"
#include "tests/support/support.hpp"

using namespace ptrain;

namespace {

constexpr Device kReference{DeviceKind::reference};

// A pass that takes and gives back blocks of many sizes; f(kind, block number, bytes) sees each event.
template <class F>
void random_pass(uint32_t seed, F&& f) {
  auto draw = [seed, i = 0u](uint32_t below) mutable { return uint32_t(random_unit(seed, Purpose::test, 0, 0, 0, i++) * float(below)); };
  std::vector<size_t> alive;
  std::vector<int64_t> bytes;
  for (int event = 0; event < 200; ++event) {
    if (alive.empty() || (bytes.size() < 90 && draw(100) < 55)) {
      bytes.push_back(1 + draw(event % 7 == 0 ? 100000 : 1000));
      alive.push_back(bytes.size() - 1);
      f(true, alive.back(), bytes.back());
    } else {
      const size_t i = draw(uint32_t(alive.size()));
      f(false, alive[i], bytes[alive[i]]);
      alive.erase(alive.begin() + long(i));
    }
  }
  for (const size_t i : alive) f(false, i, bytes[i]);
}

}  // namespace

TEST_CASE("a pool hands out again what was given back") {
  Pool pool(make_reference_backend(), kReference);
  void* a = pool.take(1000);
  void* b = pool.take(1000);
  CHECK(a != b);
  CHECK(pool.taken_from_backend() == 2);
  pool.give_back(a, 1000);
  CHECK(pool.take(1020) == a);  // of the same rounded size
  void* c = pool.take(2000);
  CHECK(c != a);
  CHECK(pool.taken_from_backend() == 3);
  CHECK(pool.peak_bytes() == 1024 + 1024 + 2048);
  pool.give_back(a, 1020);
  pool.give_back(b, 1000);
  pool.give_back(c, 2000);
  CHECK(pool.peak_bytes() == 1024 + 1024 + 2048);
  void* nothing = pool.take(0);
  CHECK(nothing != nullptr);
  pool.give_back(nothing, 0);
}

TEST_CASE("a pool that was refused memory is as it was before") {
  Pool pool(make_reference_backend(), kReference);
  CHECK_THROWS_AS(pool.take(int64_t{1} << 50), Error);
  CHECK(pool.taken_from_backend() == 0);
  CHECK(pool.peak_bytes() == 0);
  pool.give_back(pool.take(64), 64);
  CHECK(pool.peak_bytes() == 64);
}

TEST_CASE("blocks that live together never overlap in a plan") {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    CAPTURE(seed);
    PlanRecorder recorder(make_meta_backend(), {DeviceKind::meta});
    std::map<size_t, void*> at;
    struct Life {
      int64_t born, died = std::numeric_limits<int64_t>::max();
    };
    std::vector<Life> lives;
    int64_t now = 0, in_use = 0, most = 0;
    random_pass(seed, [&](bool take, size_t block, int64_t bytes) {
      const int64_t rounded = (bytes + 63) / 64 * 64;
      if (take) {
        at[block] = recorder.take(bytes);
        lives.push_back({now++});
        most = std::max(most, in_use += rounded);
      } else {
        recorder.give_back(at[block], bytes);
        lives[block].died = now++;
        in_use -= rounded;
      }
    });
    const MemoryPlan plan = recorder.plan();
    REQUIRE(plan.blocks.size() == lives.size());
    for (size_t i = 0; i < lives.size(); ++i) {
      CHECK(plan.blocks[i].offset % 64 == 0);
      CHECK(plan.blocks[i].offset + plan.blocks[i].bytes <= plan.total);
      for (size_t j = 0; j < i; ++j) {
        const bool together = lives[i].born < lives[j].died && lives[j].born < lives[i].died;
        const bool overlap = plan.blocks[i].offset < plan.blocks[j].offset + plan.blocks[j].bytes &&
                             plan.blocks[j].offset < plan.blocks[i].offset + plan.blocks[i].bytes;
        CHECK(!(together && overlap));
      }
    }
    CHECK(plan.total >= most);
    CHECK(plan.total <= 2 * most);  // or it would be no plan
  }
}

TEST_CASE("an arena replays a plan without mixing blocks up") {
  const auto backend = make_reference_backend();
  Arena arena(backend, kReference);
  for (const uint32_t seed : {3u, 4u, 3u}) {  // one arena, two passes, the first again
    PlanRecorder recorder(make_meta_backend(), {DeviceKind::meta});
    std::map<size_t, void*> at;
    random_pass(seed, [&](bool take, size_t block, int64_t bytes) {
      if (take) at[block] = recorder.take(bytes);
      else recorder.give_back(at[block], bytes);
    });
    const auto plan = std::make_shared<const MemoryPlan>(recorder.plan());
    for (int pass = 0; pass < 2; ++pass) {
      arena.begin(plan);
      std::map<size_t, char*> data;
      int mixed_up = 0;
      random_pass(seed, [&](bool take, size_t block, int64_t bytes) {
        if (take) {
          data[block] = static_cast<char*>(arena.take(bytes));
          CHECK(reinterpret_cast<uintptr_t>(data[block]) % 64 == 0);
          std::memset(data[block], int(block), size_t(bytes));
        } else {
          for (int64_t i = 0; i < bytes; ++i) mixed_up += data[block][i] != char(block);
          arena.give_back(data[block], bytes);
        }
      });
      CHECK(mixed_up == 0);
    }
  }
}

TEST_CASE("an arena refuses a pass that is not the planned one") {
  const auto plan = std::make_shared<const MemoryPlan>(MemoryPlan{{{128, 0}, {64, 128}}, 192});
  Arena arena(make_reference_backend(), kReference);
  CHECK_THROWS_AS(arena.take(128), Error);  // no plan yet
  arena.begin(plan);
  CHECK_THROWS_AS(arena.take(64), Error);  // the first is larger
  void* a = arena.take(100);               // 128 when rounded
  void* b = arena.take(64);
  CHECK(static_cast<char*>(b) - static_cast<char*>(a) == 128);
  CHECK_THROWS_AS(arena.take(64), Error);  // the plan has two
  arena.give_back(a, 100);
  CHECK_THROWS_AS(arena.begin(plan), Error);  // one block is still alive
  arena.give_back(b, 64);
  arena.begin(plan);
  CHECK(arena.take(128) == a);
  arena.give_back(a, 128);
}

TEST_CASE("open_device opens what this build has and names what it has not") {
  for (const DeviceKind kind : {DeviceKind::reference, DeviceKind::meta, DeviceKind::cpu}) {
    const auto memory = open_device({kind});
    CHECK(memory->device().kind == kind);
    CHECK(memory->backend().name() == str(memory->device()));
  }
}
