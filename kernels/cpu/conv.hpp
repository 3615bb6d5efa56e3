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
struct ConvTypes {
  DType x, w, y;
};
ConvDescs conv_descs(const OpKey& key, ConvTypes types);
inline ConvDescs conv_descs(const OpKey& key) { return conv_descs(key, {key.type, key.type, key.type}); }

// An error when the cpu does not compute in this type.
inline void require_type(DType t) {
  with_type(t, [](auto) {});
}

// The result of an operation, of type t: what role it has, and the type in which the primitive computes it.
inline Operand::Role result_role(Accumulate how, DType t) {
  if (how == Accumulate::no) return Operand::written;
  return t == DType::bfloat16 ? Operand::added_to_bfloat16 : Operand::added_to_float32;
}
inline DType result_type(Accumulate how, DType t) { return how == Accumulate::yes ? DType::float32 : t; }

inline dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

}  // namespace ptrain::cpu
