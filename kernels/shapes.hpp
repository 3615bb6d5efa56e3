// defines: the plain structs that tell an operation its sizes. N H W C (input), K (output channels), R S (window), P Q (output).
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

namespace ptrain {

enum class Act : uint8_t { none, relu, relu6 };
enum class Accumulate : uint8_t { no, yes };  // overwrite the result, or add to it

// How many windows fit into a length with `pad` zeros on both sides and `more` zeros at the end.
constexpr int64_t window_count(int64_t length, int64_t window, int64_t stride, int64_t pad, int64_t more = 0) {
  return stride <= 0 || length + 2 * pad + more < window ? 0 : (length + 2 * pad + more - window) / stride + 1;
}

// y[n,p,q,k] = Σ_{r,s,c} x[n, p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c,k]; zeros outside. `more_h` rows and `more_w`
// columns of zeros lie beyond the symmetric padding at the bottom and right: Keras' "same" with stride 2 on even sizes has pad 0, more 1.
struct ConvShape {
  int64_t n = 0, h = 0, w = 0, c = 0, k = 0, r = 1, s = 1;
  int64_t stride = 1, pad_h = 0, pad_w = 0, more_h = 0, more_w = 0;

  int64_t p() const { return window_count(h, r, stride, pad_h, more_h); }
  int64_t q() const { return window_count(w, s, stride, pad_w, more_w); }
  int64_t x_size() const { return n * h * w * c; }
  int64_t w_size() const { return r * s * c * k; }
  int64_t y_size() const { return n * p() * q() * k; }
  int64_t macs() const { return y_size() * r * s * c; }
  auto operator<=>(const ConvShape&) const = default;
};

// y[n,p,q,c] = Σ_{r,s} x[n, p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c]; padding as in ConvShape.
struct DepthwiseShape {
  int64_t n = 0, h = 0, w = 0, c = 0, r = 3, s = 3;
  int64_t stride = 1, pad_h = 0, pad_w = 0, more_h = 0, more_w = 0;

  int64_t p() const { return window_count(h, r, stride, pad_h, more_h); }
  int64_t q() const { return window_count(w, s, stride, pad_w, more_w); }
  int64_t x_size() const { return n * h * w * c; }
  int64_t w_size() const { return r * s * c; }
  int64_t y_size() const { return n * p() * q() * c; }
  int64_t macs() const { return y_size() * r * s; }
  auto operator<=>(const DepthwiseShape&) const = default;
};

// y[m,k] = Σ_c x[m,c] · w[c,k]
struct DenseShape {
  int64_t m = 0, c = 0, k = 0;
  int64_t macs() const { return m * c * k; }
  auto operator<=>(const DenseShape&) const = default;
};

// A matrix of `rows` × `c`: an NHWC tensor seen as n·h·w rows of c channels.
struct RowShape {
  int64_t rows = 0, c = 0;
  int64_t size() const { return rows * c; }
  auto operator<=>(const RowShape&) const = default;
};

// Batch normalisation over the rows of each channel, with an optional activation after it.
struct NormShape {
  int64_t rows = 0, c = 0;
  double eps = 1e-3;
  Act act = Act::none;
  int64_t size() const { return rows * c; }
};

// A square window. Maximum: padding counts as −∞. Average: padding is left out of the mean.
// Of max pooling, for backward: the place of each window's first maximum within the window, row by row, as uint8 beside y; kFlat where no
// gradient passes. A window of 15×15 has 225 places.
constexpr uint8_t kFlat = 255;
constexpr int64_t kLargestArgmaxWindow = 15;

struct PoolShape {
  int64_t n = 0, h = 0, w = 0, c = 0, window = 2, stride = 2, pad = 0;

  int64_t p() const { return window_count(h, window, stride, pad); }
  int64_t q() const { return window_count(w, window, stride, pad); }
  int64_t x_size() const { return n * h * w * c; }
  int64_t y_size() const { return n * p() * q() * c; }
  auto operator<=>(const PoolShape&) const = default;
};

struct PadShape {
  int64_t n = 0, h = 0, w = 0, c = 0;
  int64_t top = 0, bottom = 0, left = 0, right = 0;
  int64_t x_size() const { return n * h * w * c; }
  int64_t y_size() const { return n * (h + top + bottom) * (w + left + right) * c; }
};

// Copies channels [from, from + count) of rows that are from_width wide to [to, to + count) of rows that are to_width wide.
// Concatenation, splitting and appending of channels are all this copy.
struct ChannelCopy {
  int64_t rows = 0, count = 0;
  int64_t from_width = 0, from = 0;
  int64_t to_width = 0, to = 0;
};

// y[row, c] = act(x[row, c] · scale[c] + shift[c]); the rows of x are `x_width` ≥ c wide, those of y are dense.
struct ScaleShiftShape {
  int64_t rows = 0, c = 0, x_width = 0;
  Act act = Act::none;
};

// Survivors are multiplied by 1/(1−rate). Whether element (row, i) survives depends on the seed, the layer, the epoch and the
// row's `sample` number alone, never on its place in the batch: kernels/philox.hpp. Epoch and samples lie on the device.
struct DropoutShape {
  int64_t rows = 0, c = 0;
  float rate = 0;
  uint64_t seed = 0;
  uint32_t layer = 0;
};

struct SoftmaxShape {
  int64_t rows = 0, classes = 0;
};

struct ResizeShape {
  int64_t h = 0, w = 0, c = 0, out_h = 0, out_w = 0;
};

}  // namespace ptrain
