// defines: Bag, a descriptor of the stand-in for cuDNN; execute(), which computes the graph of a plan
#pragma once

#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "cudnn.h"

struct cudnnContext {
  cudaStream_t stream = nullptr;
};

namespace ptrain::simt {

constexpr int64_t kGenericEngine = 0, kTf32Engine = 1, kBrokenEngine = 2, kGoodEngine = 3;
constexpr int64_t kWorkspace = 4096;  // bytes that every plan wants, and overwrites

struct Bag {
  cudnnBackendDescriptorType_t type;
  bool final = false;
  struct Attribute {
    cudnnBackendAttributeType_t type;
    std::vector<char> bytes;
  };
  std::map<int, Attribute> attributes{};
  int64_t engine = -1;         // of an engine configuration
  const Bag* graph = nullptr;  // likewise

  bool has(int name) const { return attributes.contains(name); }
  template <class T>
  std::vector<T> values(int name) const {
    const auto it = attributes.find(name);
    if (it == attributes.end()) return {};
    std::vector<T> v(it->second.bytes.size() / sizeof(T));
    std::memcpy(v.data(), it->second.bytes.data(), v.size() * sizeof(T));
    return v;
  }
  std::vector<int64_t> numbers(int name) const { return values<int64_t>(name); }
  std::vector<const Bag*> bags(int name) const { return values<const Bag*>(name); }
  const Bag* bag(int name) const { return has(name) ? bags(name).at(0) : nullptr; }
};

// Who is who in a convolution: x or dx, w or dw, y or dy.
struct ConvRoles {
  const Bag *x, *w, *y, *conv;
};
ConvRoles roles_of(const Bag& operation);

// What the heuristics say: as the real ones, they have no fast engine for a clipped relu.
std::vector<int64_t> offered_engines(const Bag& graph, cudnnBackendHeurMode_t mode);

// Puts the plan on the stream. Not empty: why it cannot.
std::string execute(cudaStream_t stream, const Bag& plan, const Bag& pack);

}  // namespace ptrain::simt
