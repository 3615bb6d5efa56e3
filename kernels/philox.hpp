// defines: philox(): counter-based random numbers, the same on every device. Salmon et al., "Parallel random numbers: as easy
// as 1, 2, 3", SC 2011; Philox 4x32 with 10 rounds.
#pragma once

#include <cstdint>

#if defined(__CUDACC__)
#define PTRAIN_HOST_DEVICE __host__ __device__
#else
#define PTRAIN_HOST_DEVICE
#endif

namespace ptrain {

struct Philox4 {
  uint32_t v[4];
};

// What a random number is for: the first word of the counter, so that two uses never share a number.
enum class Purpose : uint32_t {
  initial_weights = 1,
  shuffle = 2,
  augment = 3,
  dropout = 4,
  split = 5,
  fraction = 6,
  bootstrap = 7,
  test = 8
};

PTRAIN_HOST_DEVICE inline Philox4 philox(uint64_t key, Philox4 counter) {
  uint32_t k0 = uint32_t(key), k1 = uint32_t(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(0xD2511F53u) * counter.v[0], b = uint64_t(0xCD9E8D57u) * counter.v[2];
    counter = {{uint32_t(b >> 32) ^ counter.v[1] ^ k0, uint32_t(b), uint32_t(a >> 32) ^ counter.v[3] ^ k1, uint32_t(a)}};
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return counter;
}

// [0, 1): the upper 24 bits, exact in float32.
PTRAIN_HOST_DEVICE inline float unit_float(uint32_t bits) { return float(bits >> 8) * 0x1p-24f; }

// The number in [0, 1) that belongs to element `i` of (purpose, layer, epoch, sample).
PTRAIN_HOST_DEVICE inline float random_unit(uint64_t seed, Purpose purpose, uint32_t layer, uint32_t epoch, uint32_t sample, uint32_t i) {
  const Philox4 r = philox(seed, {{uint32_t(purpose) << 24 | (layer & 0xffffffu), epoch, sample, i / 4}});
  return unit_float(r.v[i % 4]);
}

}  // namespace ptrain
