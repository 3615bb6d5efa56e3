// defines: add_product(), the inner loop of convolutions and dense layers
#pragma once

#include <cstdint>

namespace ptrain::reference {

// sum[k] += Σ_c a[c·step] · b[c,k], c < rows, k < cols: a row times a matrix.
// Exact: the terms are added in the order of c, and the product of two float32 is exact in double, so the only errors are those of
// 53-bit sums, fused multiply-add or not. Four rows are taken at a time: `sum` is read and written a quarter as often.
template <class A, class B>
void add_product(const A* a, int64_t step, const B* b, int64_t rows, int64_t cols, double* __restrict sum) {
  int64_t c = 0;
  for (; c + 4 <= rows; c += 4) {
    const double a0 = double(a[c * step]), a1 = double(a[(c + 1) * step]), a2 = double(a[(c + 2) * step]), a3 = double(a[(c + 3) * step]);
    const B *b0 = b + c * cols, *b1 = b0 + cols, *b2 = b1 + cols, *b3 = b2 + cols;
    for (int64_t k = 0; k < cols; ++k) sum[k] = sum[k] + a0 * b0[k] + a1 * b1[k] + a2 * b2[k] + a3 * b3[k];
  }
  for (; c < rows; ++c) {
    const double a0 = double(a[c * step]);
    const B* b0 = b + c * cols;
    for (int64_t k = 0; k < cols; ++k) sum[k] += a0 * b0[k];
  }
}

}  // namespace ptrain::reference
