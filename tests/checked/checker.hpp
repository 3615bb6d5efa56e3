// defines: Checker, which looks for races in emulated kernels, and counts their memory accesses as Meter does
#pragma once

#include <set>
#include <string>

#include "kernels/ladder/meter.hpp"

namespace ptrain::test {

// Atomics are looked at for races and are not counted.
class Checker final : public cuda::ladder::Meter {
 public:
  std::set<std::string> races;

  Place access(const void* p, size_t bytes, bool writes, const void* caller) override;
  void atomic(void* p, size_t bytes, const void*) override { look_for_races(place_of(p, bytes), p, bytes, true, true); }
  void grid_begins(const simt::Grid&) override;
  void block_begins() override;
  void barrier() override;
  void warp_met(int warp, uint32_t) override { ++met_[size_t(warp)]; }

 private:
  // Who touched a byte last, and what the block and the warp had met at by then.
  struct Touch {
    int64_t thread = -1;
    int64_t barriers = 0, met = 0;
    bool atomic = false;
  };
  struct Cell {
    Touch writer, reader, other_reader;
  };
  bool ordered(const Touch& before, const Touch& now) const;
  void look_for_races(Place place, const void* p, size_t bytes, bool writes, bool atomic);
  void look_for_race(Cell& cell, const Touch& now, bool writes, const char* memory);

  std::unordered_map<uint64_t, Cell> global_, shared_;  // by address
  int64_t barriers_ = 0, blocks_ = 0;
  int64_t met_[32] = {};
};

}  // namespace ptrain::test
