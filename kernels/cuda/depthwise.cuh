// defines: the tiles of the depthwise kernels: a patch of pixels × 128 bytes of channels in shared memory, a lane to each 4 bytes
#pragma once

#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {

constexpr int kTileWarps = 8;  // a warp takes one row of a tile; 256 threads
constexpr int kTileRows = kTileWarps;
// Columns of a tile. With stride 2 the patch of x is twice as wide: half as many, so that several blocks fit into the smallest card.
constexpr int tile_columns(int stride) { return stride == 1 ? 8 : 4; }

// A lane's 4 bytes hold one float32 or two half values: neighbouring lanes read neighbouring banks.
template <class T>
constexpr int kWord = 4 / int(sizeof(T));
template <class T>
constexpr int kGroup = 32 * kWord<T>;  // channels of a tile

// A patch: rows × columns pixels from (top, left) on, which may lie outside the image: zeros there.
struct Patch {
  int64_t top, left;
  int rows, columns;
};
constexpr int64_t patch_bytes(int rows, int columns) { return int64_t(rows) * columns * 128; }

// Copies kGroup channels from `c` on of a patch of one image (h × w × channels) to tile[pixel][kGroup]. All threads of the block come;
// V values are moved at once.
template <int V, class T>
__device__ inline void load_patch(const Patch& patch, const T* image, int64_t h, int64_t w, int64_t channels, int64_t c, T* tile) {
  constexpr int kParts = kGroup<T> / V;
  const auto thread = int(threadIdx.y * 32 + threadIdx.x);
  const int parts = patch.rows * patch.columns * kParts;
  const auto copy = [&](int i) {
    const int pixel = i / kParts, part = i % kParts, row = pixel / patch.columns;
    const int64_t y = patch.top + row, x = patch.left + pixel - row * patch.columns, from = c + part * V;
    Vec<T, V> value;
    if (y >= 0 && y < h && x >= 0 && x < w && from < channels) value = load_bits<V>(image + (y * w + x) * channels + from);
    else
      for (int k = 0; k < V; ++k) value.v[k] = from_float<T>(0.f);
    store_bits<V>(tile + int64_t(i) * V, value);
  };
  if constexpr (V == 1) {
    PTRAIN_ROLL  // several turns at once would take the registers in which backward-filter keeps its sums
        for (int i = thread; i < parts; i += kTileWarps * 32) copy(i);
  } else {
    for (int i = thread; i < parts; i += kTileWarps * 32) copy(i);
  }
}

// The values of this lane at p[i…]: all of them, or those of the `left` channels that are there.
template <bool kWhole, class T>
__device__ inline Floats<kWord<T>> load_word(const T* p, int64_t i, int64_t left) {
  Floats<kWord<T>> f = {};
  if constexpr (kWhole) {
    if (left > 0) f = load<kWord<T>>(p, i);
  } else {
    for (int k = 0; k < kWord<T>; ++k) f.v[k] = k < left ? to_float(p[i + k]) : 0.f;
  }
  return f;
}
template <bool kWhole, class T>
__device__ inline void put_word(T* p, int64_t i, int64_t left, Floats<kWord<T>> f, Accumulate how) {
  if constexpr (kWhole) {
    if (left > 0) put<kWord<T>>(p, i, f, how);
  } else {
    for (int k = 0; k < kWord<T>; ++k)
      if (k < left) put<1>(p, i + k, Floats<1>{{f.v[k]}}, how);
  }
}

// Which tile of which image and which channels a block works on: channels first, then columns, rows, images.
struct TileGrid {
  int64_t images, down, across, groups;  // tiles
  __host__ __device__ int64_t count() const { return images * down * across; }
};
template <class T>
TileGrid tile_grid(int64_t n, int64_t h, int64_t w, int64_t c, int rows, int columns) {
  return {n, div_up(h, rows), div_up(w, columns), div_up(c, kGroup<T>)};
}
struct TilePlace {
  int64_t image, row, column;  // in tiles
};
__device__ inline TilePlace tile_place(const TileGrid& g, int64_t tile) {
  const int64_t image = tile / (g.down * g.across), rest = tile - image * g.down * g.across, row = rest / g.across;
  return {image, row, rest - row * g.across};
}

// Calls f(stride) for the windows that the nets have: 3×3 with stride 1 or 2; f(0) for all others.
template <class F>
void with_stride(const DepthwiseShape& d, F&& f) {
  if (d.r == 3 && d.s == 3 && d.stride == 1) f(std::integral_constant<int, 1>{});
  else if (d.r == 3 && d.s == 3 && d.stride == 2) f(std::integral_constant<int, 2>{});
  else f(std::integral_constant<int, 0>{});
}

}  // namespace ptrain::cuda
