// defines: RandomStream, numbers in sequence out of the counter-based generator
#pragma once

#include <cstdint>

#include "kernels/philox.hpp"

namespace ptrain::statistics {

// The numbers of (seed, purpose, stream, replicate), one after the other: the same on every machine and for every order in which
// replicates are computed. Counter: {purpose and stream, replicate, block low, block high}.
class RandomStream {
 public:
  RandomStream(uint64_t seed, Purpose purpose, uint32_t stream, uint32_t replicate)
      : seed_(seed),
        first_(uint32_t(purpose) << 24 | (stream & 0xffffffu)),
        replicate_(replicate) {}

  uint64_t bits() {
    if (used_ == 0) block_ = philox(seed_, {{first_, replicate_, uint32_t(count_), uint32_t(count_ >> 32)}}), ++count_;
    const uint64_t value = uint64_t(block_.v[used_]) << 32 | block_.v[used_ + 1];
    used_ = (used_ + 2) % 4;
    return value;
  }
  double unit() { return (double(bits() >> 12) + 0.5) * 0x1p-52; }  // inside (0, 1), never at its ends
  // 0 … n − 1. The upper half of a 128-bit product: no value is off by more than 2⁻⁶⁴ in probability.
  uint64_t below(uint64_t n) { return uint64_t(static_cast<unsigned __int128>(bits()) * n >> 64); }

 private:
  uint64_t seed_, count_ = 0;
  uint32_t first_, replicate_;
  int used_ = 0;
  Philox4 block_{};
};

}  // namespace ptrain::statistics
