// defines: Cut, the border between the frozen and the trainable part of a net, and what crosses it
#pragma once

#include <set>
#include <utility>
#include <vector>

#include "tensor/tensor.hpp"

namespace ptrain {

// A net is a fixed sequence of steps (the Scope numbers them). A step is live when a trainable weight reaches it. The frozen steps
// whose outputs live steps read are the boundary; there can be several (InceptionV3's 70 % cuts through branches).
struct Cut {
  std::vector<bool> live;
  std::set<int> boundary;
  bool all_frozen() const { return boundary.empty(); }
};

// Which steps a pass computes. `frozen` ends at the boundary; `trainable` begins there.
enum class NetPart : uint8_t { whole, frozen, trainable };

// The tensors that cross, by step.
using Boundary = std::vector<std::pair<int, Tensor>>;

}  // namespace ptrain
