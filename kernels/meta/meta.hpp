// defines: the meta backend, which computes nothing. A pass on it gives shapes, lifetimes (tensor/memory.hpp) and costs.
#pragma once

#include <string>
#include <vector>

#include "kernels/backend.hpp"

namespace ptrain::meta {

// What one operation would do: multiply-adds, and bytes read and written once each.
struct Cost {
  std::string layer;
  const char* op;
  int64_t macs, bytes;
  // Of a convolution that is not depthwise, and of what is fused to it.
  ConvShape conv = {};
  Act act = Act::none;
  bool residual = false;
};

class MetaExec : public Exec {
 public:
  MetaExec() : Exec(1) {}
  void* scratch(int64_t) override { return nullptr; }
  void synchronize() override {}
  std::vector<Cost> costs;
};

}  // namespace ptrain::meta
