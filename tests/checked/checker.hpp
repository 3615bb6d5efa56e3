// defines: Checker, which watches every memory access of emulated kernels: races, sectors of global memory, wavefronts of shared memory
//
// The kernels are compiled with -fsanitize=thread, so that g++ puts a call before every access; libtsan is not linked, checker.cpp has the
// calls. An access of a warp is the n-th time that its lanes come to the same place of the code.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kernels/simt/grid.hpp"

namespace ptrain::test {

class Checker final : public simt::Observer {
 public:
  Checker();
  ~Checker() override;

  // Of all launches since the last clear().
  struct Figures {
    int64_t wanted = 0, sectors = 0;    // bytes that warps asked for, each once an access; sectors of 32 bytes that these took
    int64_t wavefronts = 0, least = 0;  // of shared memory: 32 banks of 4 bytes each; as few as the bytes allow
    std::set<std::string> races;
    double efficiency() const { return sectors ? double(wanted) / double(sectors * 32) : 1; }
    double conflicts() const { return least ? double(wavefronts) / double(least) : 1; }
  };
  Figures figures;
  void clear() { figures = {}; }

  void access(const void* p, size_t bytes, bool writes, bool atomic, const void* caller);
  void grid_begins(const simt::Grid&) override;
  void block_begins() override;
  void block_ends() override;
  void barrier() override { ++barriers_; }
  void warp_met(int warp, uint32_t) override { ++met_[size_t(warp)]; }
  void atomic(void* p, size_t bytes, const void* caller) override { access(p, bytes, true, true, caller); }

 private:
  struct Lane {
    uint64_t address;
    uint32_t bytes;
  };
  struct Key {  // one access of a warp
    const void* place;
    int warp, turn;
    bool shared;
    auto operator<=>(const Key&) const = default;
  };
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
  void look_for_race(uint64_t address, const Touch& now, bool writes, std::unordered_map<uint64_t, Cell>& cells, const char* memory);

  std::map<Key, std::vector<Lane>> block_;
  std::vector<std::unordered_map<const void*, int>> turns_;  // of each thread, at each place
  std::unordered_map<uint64_t, Cell> global_, shared_;
  int64_t barriers_ = 0, blocks_ = 0;
  int64_t met_[32] = {};
};

}  // namespace ptrain::test
