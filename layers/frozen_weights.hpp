// defines: FrozenWeights, the packed weights of frozen convolutions, shared by all threads
#pragma once

#include <functional>
#include <memory>
#include <shared_mutex>
#include <string>
#include <unordered_map>

#include "kernels/backend.hpp"

namespace ptrain {

// Filled on first use: folding a batch norm into a kernel and reordering it is done once, not once a pass. For one input size.
class FrozenWeights {
 public:
  using Packed = std::shared_ptr<const PackedWeights>;

  Packed find_or_pack(const std::string& layer, const std::function<Packed()>& pack) {
    {
      const std::shared_lock lock(mutex_);
      if (const auto it = packed_.find(layer); it != packed_.end()) return it->second;
    }
    const std::unique_lock lock(mutex_);
    Packed& p = packed_[layer];
    if (!p) p = pack();
    return p;
  }

  void clear() {
    const std::unique_lock lock(mutex_);
    packed_.clear();
  }

 private:
  std::shared_mutex mutex_;
  std::unordered_map<std::string, Packed> packed_;
};

}  // namespace ptrain
