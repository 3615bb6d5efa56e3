// defines: RowTiling, how blocks cover a matrix of rows × channels; sums over its rows, the same bits in every run
#pragma once

#include <algorithm>

#include "kernels/cuda/vector.cuh"
#include "kernels/exec.hpp"

namespace ptrain::cuda {

constexpr int kRowBlock = 256;  // threads of a block at most: eight warps
// Values of a thread in kernels that read float32 numbers of each channel: four of those are 16 bytes, so that they too are loaded without
// gaps. Eight half values a thread would need two such loads, each of every other 16 bytes.
constexpr int kPerChannel = 4;

// A block is block.x threads along a row, each with V neighbouring channels, times block.y rows. Rows are dense, so the threads of a warp
// touch memory without gaps whatever c is, and the numbers of a channel stay in registers while a thread walks down the rows.
struct RowTiling {
  dim3 grid, block;  // grid.x parts of a row, grid.y walkers
};
inline RowTiling tile_rows(int64_t rows, int64_t c, int v, int64_t most_walkers) {
  const int64_t vectors = c / v, parts = div_up(vectors, kRowBlock), x = div_up(vectors, parts), y = std::max<int64_t>(1, kRowBlock / x);
  REQUIRE_THAT(parts <= INT32_MAX, "rows of ", c, " channels");
  return {dim3(unsigned(parts), unsigned(std::clamp<int64_t>(div_up(rows, y), 1, most_walkers))), dim3(unsigned(x), unsigned(y))};
}
// For kernels that only map: blocks enough to fill the largest card several times; beyond that a walker has four rows at least, so that the
// numbers of its channels are not read for each row.
inline RowTiling map_rows(int64_t rows, int64_t c, int v) {
  constexpr int64_t kEnough = 1024;
  const RowTiling t = tile_rows(rows, c, v, 8192);
  const int64_t worth = div_up(rows, int64_t(t.block.y) * 4);
  return {dim3(t.grid.x, unsigned(std::min<int64_t>(t.grid.y, std::max(worth, kEnough)))), t.block};
}
// For kernels that sum over rows: one partial sum a walker. The number depends on the shape alone, so every card adds in the same order.
constexpr int64_t kMostWalkers = 256;
inline RowTiling sum_rows(int64_t rows, int64_t c, int v) {
  const RowTiling t = tile_rows(rows, c, v, INT32_MAX);
  const int64_t worth = div_up(rows, int64_t(t.block.y) * 4);  // a walker with fewer than four steps is not worth its partial sum
  return {dim3(t.grid.x, unsigned(std::clamp<int64_t>(worth, 1, kMostWalkers))), t.block};
}

// The first channel of this thread, and its rows: for (row = first_row(); row < rows; row += row_step()).
template <int V>
__device__ inline int64_t first_channel() {
  return thread_index() * V;
}
__device__ inline int64_t first_row() { return int64_t(blockIdx.y) * blockDim.y + threadIdx.y; }
__device__ inline int64_t row_step() { return int64_t(gridDim.y) * blockDim.y; }

// Row `y` of a block's shared memory of floats, `k` counting the V values of a thread: neighbouring threads have neighbouring words.
__device__ inline int shared_place(int k, unsigned y) { return k * kRowBlock + int(y * blockDim.x + threadIdx.x); }

// Adds `sum` over threadIdx.y as a tree; the thread with threadIdx.y == 0 gets the result. All threads of the block must come. `shared` has
// V·kRowBlock floats and may be used again after the next barrier.
template <int V>
__device__ inline void add_over_rows(Floats<V>& sum, float* shared) {
  unsigned half = 1;
  while (half < blockDim.y) half *= 2;
  for (int k = 0; k < V; ++k) shared[shared_place(k, threadIdx.y)] = sum.v[k];
  for (half /= 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half && threadIdx.y + half < blockDim.y) {
      for (int k = 0; k < V; ++k) shared[shared_place(k, threadIdx.y)] += shared[shared_place(k, threadIdx.y + half)];
    }
  }
  if (threadIdx.y == 0) {
    for (int k = 0; k < V; ++k) sum.v[k] = shared[shared_place(k, 0)];
  }
}

// to[j] = factor · Σ_i partial[i, j], partial being [parts, count] in float32; `to` float32 or a half type. partial_sums.cu
void add_partials(int64_t parts, int64_t count, const float* partial, float factor, Buffer to, Accumulate how, cudaStream_t stream);

}  // namespace ptrain::cuda
