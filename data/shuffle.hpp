// defines: shuffled(), the order of an epoch
#pragma once

#include <algorithm>
#include <cstdint>
#include <tuple>
#include <vector>

#include "kernels/philox.hpp"

namespace ptrain {

// `indices` (into a manifest) in the order of their random keys. The key of an index depends on the seed, the epoch and the index alone, so
// the order is the same for any number of threads, after a resume, and for any order of the input; leaving one index out moves no other.
// An index that occurs twice stays twice.
inline std::vector<int64_t> shuffled(const std::vector<int64_t>& indices, uint64_t seed, uint32_t epoch) {
  std::vector<std::tuple<uint64_t, int64_t>> keyed;
  keyed.reserve(indices.size());
  for (int64_t index : indices) {
    const Philox4 r = philox(seed, {{uint32_t(Purpose::shuffle) << 24, epoch, uint32_t(index), 0}});
    keyed.emplace_back(uint64_t(r.v[0]) << 32 | r.v[1], index);
  }
  std::sort(keyed.begin(), keyed.end());
  std::vector<int64_t> order;
  order.reserve(indices.size());
  for (const auto& [key, index] : keyed) order.push_back(index);
  return order;
}

}  // namespace ptrain
