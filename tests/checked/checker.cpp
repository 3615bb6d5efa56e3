#include "tests/checked/checker.hpp"

#include <algorithm>

#include "kernels/error.hpp"

namespace ptrain::test {
namespace {

constexpr int64_t kMostThreads = 1024;  // of a block

}  // namespace

Checker::Place Checker::access(const void* p, size_t bytes, bool writes, const void* caller) {
  const Place place = Meter::access(p, bytes, writes, caller);
  look_for_races(place, p, bytes, writes, false);
  return place;
}

void Checker::grid_begins(const simt::Grid& grid) {
  Meter::grid_begins(grid);
  global_.clear();
}

void Checker::block_begins() {
  shared_.clear();
  ++blocks_;
  barriers_ = 0;
  std::fill(std::begin(met_), std::end(met_), 0);
}

void Checker::barrier() {
  Meter::barrier();
  ++barriers_;
}

// Within a block by a barrier, within a warp by a meeting of its lanes. Nothing orders two blocks.
bool Checker::ordered(const Touch& before, const Touch& now) const {
  if (before.thread < 0 || before.thread == now.thread || (before.atomic && now.atomic)) return true;
  if (before.thread / kMostThreads != now.thread / kMostThreads) return false;
  if (before.barriers != now.barriers) return true;
  return before.thread / 32 == now.thread / 32 && before.met != now.met;
}

void Checker::look_for_races(Place place, const void* p, size_t bytes, bool writes, bool atomic) {
  if (place == Place::elsewhere) return;
  const bool shared = place == Place::shared;
  const int thread = simt::running_thread.thread;
  const Touch now{blocks_ * kMostThreads + thread, barriers_, met_[thread / 32], atomic};
  const auto address = reinterpret_cast<uint64_t>(p);
  for (uint64_t b = address; b < address + bytes; ++b)
    look_for_race((shared ? shared_ : global_)[b], now, writes, shared ? "shared" : "global");
}

void Checker::look_for_race(Cell& cell, const Touch& now, bool writes, const char* memory) {
  const auto report = [&](const char* what, const Touch& other) {
    races.insert(concat(what, " in ", memory, " memory: threads ", other.thread % kMostThreads, " and ", now.thread % kMostThreads,
                        other.thread / kMostThreads == now.thread / kMostThreads ? " of one block" : " of two blocks"));
  };
  if (!ordered(cell.writer, now)) report(writes ? "two writes" : "a write and a read", cell.writer);
  if (writes) {
    for (const Touch& reader : {cell.reader, cell.other_reader})
      if (!ordered(reader, now)) report("a read and a write", reader);
    cell = {now, {}, {}};
  } else {
    if (cell.reader.thread != now.thread) cell.other_reader = cell.reader;
    cell.reader = now;
  }
}

}  // namespace ptrain::test
