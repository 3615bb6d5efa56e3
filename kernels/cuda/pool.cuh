// defines: which pixels a pooling window covers, and which windows cover a pixel
#pragma once

#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {

// Indices [begin, end) along one side of an image.
struct Span {
  int64_t begin, end;
};
// The pixels of window `i` that lie inside the image.
__device__ inline Span window_of(int64_t i, int64_t length, const PoolShape& s) {
  const int64_t first = i * s.stride - s.pad, last = first + s.window;
  return {first < 0 ? 0 : first, last > length ? length : last};
}
// The windows, of `windows` there are, that cover pixel `i`.
__device__ inline Span windows_over(int64_t i, int64_t windows, const PoolShape& s) {
  const int64_t before = i + s.pad - s.window, last = (i + s.pad) / s.stride + 1;
  return {before < 0 ? 0 : before / s.stride + 1, last > windows ? windows : last};
}

// A row of pixels is one row of length · c values: V neighbouring channels of one pixel a thread.
struct Place {
  int64_t column, c;
};
template <int V>
__device__ inline Place place_in_row(int64_t channels) {
  const int64_t i = first_channel<V>(), column = i / channels;
  return {column, i - column * channels};
}

}  // namespace ptrain::cuda
