// defines: CudaBackend::Prepared, the plan of a convolution and what must happen around it; Layout, the parts of a scratch
#pragma once

#include "kernels/cuda/cuda.hpp"

namespace ptrain::cuda {

// cuDNN may have no plan for padding that is not symmetric: then the input is padded by a kernel of ours, and `shape` has no padding.
struct CudaBackend::Prepared {
  const ConvPlan* plan;
  ConvShape shape;
  bool padded;
  PadShape padding;
};

// Hands out offsets of one block of memory.
class Layout {
 public:
  int64_t add(int64_t bytes) {
    const int64_t at = size_;
    size_ += (bytes + 255) / 256 * 256;
    return at;
  }
  int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

inline Buffer part(void* base, int64_t offset, DType type, int64_t size) { return {static_cast<char*>(base) + offset, type, size}; }

}  // namespace ptrain::cuda
