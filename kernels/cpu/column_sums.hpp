// defines: ColumnSums, sums over the rows of a matrix, column by column
#pragma once

#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu {

// Sixteen sums in double.
class WideSum {
 public:
  [[gnu::always_inline]] void add(Vec v) {
    low_ += lower(v);
    high_ += upper(v);
  }
  [[gnu::always_inline]] void add_square(Vec v) {  // the square in double as well
    const Wide low = lower(v), high = upper(v);
    low_ += low * low;
    high_ += high * high;
  }
  [[gnu::always_inline]] void add_to(double* to, int64_t lanes) const {
    const Wide low = low_, high = high_;
    for (int64_t i = 0; i < std::min(lanes, kLanes / 2); ++i) to[i] += low[i];
    for (int64_t i = kLanes / 2; i < lanes; ++i) to[i] += high[i - kLanes / 2];
  }

 private:
  using Wide = double __attribute__((vector_size(64)));
  static Wide lower(Vec v) { return __builtin_convertvector(__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7), Wide); }
  static Wide upper(Vec v) { return __builtin_convertvector(__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15), Wide); }
  Wide low_ = {}, high_ = {};
};

// Sums over the rows of a matrix, kSums for each of its c columns.
// Thread : each part of the rows has sums of its own; they are added in the order of the parts. Within it some rows at a time, and of
//          these 64 columns at a time, whose sums are in registers.
// Memory : reads the matrix once: bound by the memory's bandwidth.
// Exact  : double: the same for the same number of threads.
// The sums lie in the scratch memory of the Exec, and behind them `extra` floats for the caller, who must not ask it for more.
template <int kSums>
class ColumnSums {
 public:
  ColumnSums(Exec& exec, int64_t rows, int64_t c, int64_t extra = 0) : rows_(rows), c_(c), parts_(part_count(exec, rows, c)) {
    sums_ = static_cast<double*>(exec.scratch(int64_t(sizeof(double)) * parts_ * kSums * c + int64_t(sizeof(float)) * extra));
  }
  float* extra() const { return reinterpret_cast<float*>(sums_ + parts_ * kSums * c_); }

  // add(row, c, lanes, sums) adds columns [c, c + lanes) of one row to the WideSum sums[0 … kSums). Returns the totals, [kSums, c].
  template <class Add>
  const double* over_rows(Add&& add) {
    const int64_t width = kSums * c_;
    parallel(parts_, rows_, [&](Part part) {
      double* mine = sums_ + part.index * width;
      std::fill(mine, mine + width, 0.0);
      constexpr int64_t kRows = 8;
      for (int64_t row = part.begin; row < part.end; row += kRows) {
        const int64_t last = std::min(row + kRows, part.end);
        int64_t c = 0;
        for (; c + 4 * kLanes <= c_; c += 4 * kLanes) strip<4>(row, last, c, std::integral_constant<int64_t, kLanes>{}, mine, add);
        over_lanes(c, c_, [&](int64_t at, auto lanes) { strip<1>(row, last, at, lanes, mine, add); });
      }
    });
    for (int i = 1; i < parts_; ++i)
      for (int64_t j = 0; j < width; ++j) sums_[j] += sums_[i * width + j];
    return sums_;
  }

 private:
  template <int kWide, class Lanes, class Add>
  [[gnu::always_inline]] void strip(int64_t row, int64_t last, int64_t c, Lanes lanes, double* to, Add&& add) const {
    WideSum sums[kWide][kSums];
    for (; row < last; ++row) unrolled<kWide>([&](auto i) PTRAIN_INLINE { add(row, c + i * kLanes, lanes, sums[i]); });
    unrolled<kWide * kSums>([&](auto i)
                                PTRAIN_INLINE { sums[i / kSums][i % kSums].add_to(to + i % kSums * c_ + c + i / kSums * kLanes, lanes); });
  }

  int64_t rows_, c_;
  int parts_;
  double* sums_;
};

}  // namespace ptrain::cpu
