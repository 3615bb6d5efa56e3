#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/vector.cuh"

namespace ptrain::cuda {
namespace {

constexpr int kTile = 32, kWalkers = 8;  // a tile of 32 × 32 values, a warp on each row of it, four rows a warp

// out[j, i] = in[i, j] · scale[j]
// Layout : in is rows × columns, out is columns × rows; they may differ in type. scale is [columns] in float32 or absent.
// Thread : four values of a tile. Loads run along the rows of `in`, stores along those of `out`; the tile turns in shared memory.
// Memory : reads and writes one value per output. The tile's rows are 33 words apart, so that a column has no bank conflict.
// Exact  : one product in float32, rounded once to the type.
template <class T, class U>
__global__ void transpose_kernel(int64_t rows, int64_t columns, int64_t tiles_across, const T* in, const float* scale, U* out,
                                 Accumulate how) {
  PTRAIN_SHARED(float, tile, [kTile][kTile + 1]);
  const int64_t top = blockIdx.x / tiles_across * kTile, left = blockIdx.x % tiles_across * kTile;
  const auto x = int(threadIdx.x);
  for (auto y = int(threadIdx.y); y < kTile; y += kWalkers)
    if (top + y < rows && left + x < columns) tile[y][x] = to_float(in[(top + y) * columns + left + x]) * (scale ? scale[left + x] : 1.f);
  __syncthreads();
  for (auto y = int(threadIdx.y); y < kTile; y += kWalkers)
    if (left + y < columns && top + x < rows) put<1>(out, (left + y) * rows + top + x, Floats<1>{{tile[x][y]}}, how);
}

}  // namespace

void transpose(int64_t rows, int64_t columns, Buffer in, Buffer scale, Into out, cudaStream_t stream) {
  if (rows == 0 || columns == 0) return;
  const int64_t across = div_up(columns, kTile);
  visit_device(in.dtype, [&]<class T>(T) {
    visit_device(out.buffer.dtype, [&]<class U>(U) {
      launch(transpose_kernel<T, U>, blocks_for(div_up(rows, kTile) * across, 1), dim3(kTile, kWalkers), 0, stream, rows, columns, across,
             in.as<T>(), scale ? scale.as<float>() : nullptr, out.buffer.as<U>(), out.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
