// defines: product(), the small matrix products inside Winograd's convolution
#pragma once

#include <array>

#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu::winograd {

inline Vec splat(float v) { return Vec{v, v, v, v, v, v, v, v, v, v, v, v, v, v, v, v}; }

constexpr int kMostRows = 12;  // rows of the result in registers at a time: 12 × 2 sums, two loads, one broadcast of the 32 registers

// c[r, 0 … 16·kVecs) = Σ_k a[r·row_a + k·step_a] · b[k, 0 … 16·kVecs)  (+= when kAdd), sums in the order of k.
template <int kRows, int kVecs, bool kAdd>
void block(const float* a, int64_t row_a, int64_t step_a, const float* b, int64_t row_b, int64_t depth, float* c, int64_t row_c) {
  Vec sum[kRows][kVecs];
  unrolled<kRows * kVecs>([&](auto i) PTRAIN_INLINE {
    if constexpr (kAdd) sum[i / kVecs][i % kVecs] = load(c + i / kVecs * row_c + i % kVecs * kLanes);
    else sum[i / kVecs][i % kVecs] = Vec{};
  });
  for (int64_t k = 0; k < depth; ++k, a += step_a, b += row_b) {
    Vec v[kVecs];
    unrolled<kVecs>([&](auto i) PTRAIN_INLINE { v[i] = load(b + i * kLanes); });
    unrolled<kRows>([&](auto r) PTRAIN_INLINE {
      const Vec f = splat(a[r * row_a]);
      unrolled<kVecs>([&](auto i) PTRAIN_INLINE { sum[r][i] += f * v[i]; });
    });
  }
  unrolled<kRows * kVecs>([&](auto i) PTRAIN_INLINE { store(c + i / kVecs * row_c + i % kVecs * kLanes, sum[i / kVecs][i % kVecs]); });
}

// The same for any number of rows, split evenly so that no block is small.
template <int kVecs, bool kAdd = false>
void product(int64_t rows, const float* a, int64_t row_a, int64_t step_a, const float* b, int64_t row_b, int64_t depth, float* c,
             int64_t row_c) {
  using Block = void (*)(const float*, int64_t, int64_t, const float*, int64_t, int64_t, float*, int64_t);
  static constexpr auto blocks = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Block, sizeof...(I)>{block<I + 1, kVecs, kAdd>...};
  }
  (std::make_integer_sequence<int, kMostRows>{});
  const int64_t parts = (rows + kMostRows - 1) / kMostRows;
  for (int64_t i = 0; i < parts; ++i) {
    const int64_t from = rows * i / parts, to = rows * (i + 1) / parts;
    blocks[size_t(to - from - 1)](a + from * row_a, row_a, step_a, b, row_b, depth, c + from * row_c, row_c);
  }
}

}  // namespace ptrain::cpu::winograd
