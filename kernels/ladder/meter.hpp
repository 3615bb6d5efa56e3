// defines: Meter, which counts what the memory accesses of emulated kernels would cost a GPU
//
// The kernels are compiled with -fsanitize=thread, so that g++ puts a call before every access; libtsan is not linked, meter.cpp has the
// calls. An access of a warp is the n-th time that its lanes come to the same place of the code. Loops that lanes leave at different turns
// can pair accesses that a GPU would not: figures at the edges of an image are a little off.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "kernels/simt/grid.hpp"

namespace ptrain::cuda::ladder {

struct Figures {
  int64_t launches = 0;
  int64_t accesses = 0;         // of warps to global memory
  int64_t sectors = 0;          // of 32 bytes that these take
  int64_t lanes = 0;            // that take part in them
  int64_t wanted = 0;           // bytes that the lanes ask for, each once an access
  int64_t touched = 0;          // bytes of the sectors of each launch, counted once: what memory must move at least
  int64_t shared_accesses = 0;  // of warps to shared memory
  int64_t wavefronts = 0, least_wavefronts = 0;
  int64_t barriers = 0;
  int64_t shared_bytes = 0;  // of one block
  struct Launch {
    int64_t threads = 0, lanes = 0;  // and how many lanes took part in its accesses
  };
  std::vector<Launch> of_launch;

  // How often a thread goes to memory, one access after the other, in the launch where that is most. Launches with less than a twentieth of
  // all accesses do not count.
  double accesses_of_a_thread() const {
    double most = 0;
    for (const Launch& l : of_launch)
      if (l.lanes * 20 >= lanes) most = std::max(most, double(l.lanes) / double(l.threads));
    return most;
  }

  double efficiency() const { return sectors ? double(wanted) / double(sectors * 32) : 1; }
  double conflicts() const { return least_wavefronts ? double(wavefronts) / double(least_wavefronts) : 1; }
};

// There is one at a time.
class Meter : public simt::Observer {
 public:
  Meter();
  ~Meter() override;
  Figures figures;

  enum class Place : uint8_t { elsewhere, shared, global };  // elsewhere: arguments, constants, a thread's own stack
  // Counts what lies in shared or global memory, and says where it lies.
  virtual Place access(const void* p, size_t bytes, bool writes, const void* caller);
  void grid_begins(const simt::Grid& grid) override;
  void grid_ends() override;
  void block_ends() override;
  void barrier() override { ++figures.barriers; }
  void atomic(void* p, size_t bytes, const void* caller) override { Meter::access(p, bytes, true, caller); }

 protected:
  static Place place_of(const void* p, size_t bytes);

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
  void count_global(const std::vector<Lane>& lanes);
  void count_shared(const std::vector<Lane>& lanes);

  std::map<Key, std::vector<Lane>> block_;
  std::vector<std::unordered_map<const void*, int>> turns_;  // of each thread, at each place
  std::unordered_set<uint64_t> touched_;                     // sectors of this launch
};

}  // namespace ptrain::cuda::ladder
