// defines: TensorTable: many tensors in one launch. The table travels in the kernel's arguments (32,764 bytes from sm_70 on), so nothing is
// copied to the device and a captured step holds it.
#pragma once

#include <span>

#include "kernels/cuda/vector.cuh"
#include "kernels/optimizer.hpp"

namespace ptrain::cuda {

constexpr int kTensorBlock = 256;  // eight warps
constexpr int kTensorChunk =
    4096;  // values a block: four vectors of four a thread, so that the search for its tensor is nothing beside them

struct TensorEntry {
  float* w;
  void* dw;
  float* state[3];
  void* copy;  // or null
  int64_t size;
  int32_t first_block;
  DType dw_type, copy_type;
  bool wide;  // vectors of four may be moved at once
};

struct TensorTable {
  static constexpr int kMost = 480;
  int32_t count, blocks;
  TensorEntry of[kMost];

  // The tensor that block `b` works on: the last one that begins at or before it.
  __device__ int find(int b) const {
    int low = 0, high = count;
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (of[middle].first_block <= b) low = middle;
      else high = middle;
    }
    return low;
  }
};
static_assert(sizeof(TensorTable) <= 31 << 10, "the table must fit into the arguments of a kernel");

// Calls f(table) for at most kMost tensors at a time; empty ones are left out.
template <class F>
void for_tables(std::span<const OptimizerSlot> slots, F&& f) {
  TensorTable table;
  table.count = table.blocks = 0;
  const auto flush = [&] {
    if (table.count > 0) f(table);
    table.count = table.blocks = 0;
  };
  for (const OptimizerSlot& s : slots) {
    if (s.dw.size == 0) continue;
    const int64_t blocks = div_up(s.dw.size, kTensorChunk);
    REQUIRE_THAT(blocks <= INT32_MAX / 2, "an optimizer step over a tensor of ", s.dw.size, " values");
    if (table.count == TensorTable::kMost || table.blocks > INT32_MAX / 2) flush();
    const bool wide = aligned({s.w.data, s.dw.data, s.state[0].data, s.state[1].data, s.state[2].data, s.copy.data});
    table.of[table.count++] = {s.w.as<float>(),
                               s.dw.data,
                               {s.state[0].as<float>(), s.state[1].as<float>(), s.state[2].as<float>()},
                               s.copy ? s.copy.data : nullptr,
                               s.dw.size,
                               table.blocks,
                               s.dw.dtype,
                               s.copy.dtype,
                               wide};
    table.blocks += int32_t(blocks);
  }
  flush();
}

// Values of whatever type stands in the table.
template <int V>
__device__ inline Floats<V> load_any(const void* p, DType t, int64_t i, int64_t n) {
  if (t == DType::float32) return load<V>(static_cast<const float*>(p), i, n);
  if (t == DType::float16) return load<V>(static_cast<const __half*>(p), i, n);
  return load<V>(static_cast<const __nv_bfloat16*>(p), i, n);
}
template <int V>
__device__ inline void store_any(void* p, DType t, int64_t i, int64_t n, const Floats<V>& f) {
  if (t == DType::float32) store<V>(static_cast<float*>(p), i, n, f);
  else if (t == DType::float16) store<V>(static_cast<__half*>(p), i, n, f);
  else store<V>(static_cast<__nv_bfloat16*>(p), i, n, f);
}
// As the type would hold it.
__device__ inline float rounded_to(DType t, float v) {
  if (t == DType::float16) return to_float(from_float<__half>(v));
  return t == DType::bfloat16 ? to_float(from_float<__nv_bfloat16>(v)) : v;
}

}  // namespace ptrain::cuda
