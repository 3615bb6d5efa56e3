// defines: how a convolution is described to oneDNN (training in conv.cpp, frozen in fused.cpp)
#pragma once

#include "kernels/cpu/loops.hpp"
#include "kernels/cpu/onednn.hpp"

namespace ptrain::cpu {

// Our layouts of the operands, the weights with their layout left open, and the geometry.
struct ConvDescs {
  dnnl::memory::desc x, w, any_w, y;
  dnnl::memory::dims stride, before, after;
};
ConvDescs conv_descs(const OpKey& key);

// An error when the cpu does not compute in this type.
inline void require_type(DType t) {
  with_type(t, [](auto) {});
}

inline dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

}  // namespace ptrain::cpu
