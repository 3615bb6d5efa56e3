#include "kernels/cuda/depthwise.cuh"
#include "kernels/cuda/kernels.hpp"

namespace ptrain::cuda {
namespace {

// a / b towards −∞, b > 0
__device__ inline int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// The rows (or columns) of dy that `tile` pixels of dx can see: one more than needed at times.
constexpr int seen(int tile, int64_t window, int64_t stride) { return int((tile - 1 + window - 1) / stride + 2); }

// dx[n,h,w,c] = Σ_{r,s} dy[n,p,q,c] · w[r,s,c] over the (p,q) that look at (h,w) through (r,s): p·stride = h + pad_h − r
// Layout : NHWC, w is [r,s,c]. A block makes rows × columns pixels of 128 bytes of channels from a patch of dy in shared memory.
// Thread : 4 bytes of channels of a row of the tile, a warp to a row: which r and s meet a pixel of dy is the same for the whole warp.
// Memory : reads each dy once and a halo, writes one value (reads one to accumulate): bound by the memory's bandwidth.
// Exact  : float32 sums in r,s order: the same bits in every run.
template <int V, int kStride, class T>
__global__ void __launch_bounds__(kTileWarps * 32)
    depthwise_backward_data_kernel(DepthwiseShape d, int64_t height, int64_t width, TileGrid grid, int rows, int columns, const T* dy,
                                   const T* w, T* dx, Accumulate how) {
  PTRAIN_DYNAMIC_SHARED(T, tile);
  constexpr bool kWhole = V > 1;
  constexpr int kW = kWord<T>;
  const int64_t stride = kStride > 0 ? kStride : d.stride, window_h = kStride > 0 ? 3 : d.r, window_w = kStride > 0 ? 3 : d.s;
  const int64_t group = blockIdx.x % grid.groups, c = group * kGroup<T> + int64_t(threadIdx.x) * kW, left = d.c - c;
  const TilePlace place = tile_place(grid, blockIdx.x / grid.groups);
  const int64_t first_h = place.row * rows, first_w = place.column * columns, h = first_h + threadIdx.y;
  const Patch patch{floor_div(first_h + d.pad_h - window_h + 1, stride), floor_div(first_w + d.pad_w - window_w + 1, stride),
                    seen(rows, window_h, stride), seen(columns, window_w, stride)};
  load_patch<V>(patch, dy + place.image * height * width * d.c, height, width, d.c, group * kGroup<T>, tile);
  __syncthreads();
  if (left <= 0 || int(threadIdx.y) >= rows || h >= d.h) return;

  // The pixel of dy in the tile that pixel `i` of dx meets at place `at` of the window, or −1.
  const auto meet = [stride](int64_t i, int64_t pad, int64_t at, int64_t first) {
    const int64_t t = i + pad - at;
    return t < 0 || t % stride != 0 ? -1 : int(t / stride - first);
  };
  const int64_t out = ((place.image * d.h + h) * d.w + first_w) * d.c + c;
  const T* from = tile + threadIdx.x * kW;
  if constexpr (kStride > 0) {
    constexpr int kColumns = 8;
    Floats<kW> sum[kColumns] = {};
    PTRAIN_UNROLL
    for (int r = 0; r < 3; ++r) {
      const int row = meet(h, d.pad_h, r, patch.top);
      if (row < 0) continue;
      PTRAIN_UNROLL
      for (int s = 0; s < 3; ++s) {
        const Floats<kW> window = load_word<kWhole>(w, (r * 3 + s) * d.c + c, left);
        PTRAIN_UNROLL
        for (int i = 0; i < kColumns; ++i) {
          const int column = meet(first_w + i, d.pad_w, s, patch.left);
          if (column < 0) continue;
          const Floats<kW> f = load<kW>(from, (row * patch.columns + column) * kGroup<T>);
          for (int k = 0; k < kW; ++k) sum[i].v[k] = fmaf(f.v[k], window.v[k], sum[i].v[k]);
        }
      }
    }
    PTRAIN_UNROLL
    for (int i = 0; i < kColumns; ++i)
      if (first_w + i < d.w) put_word<kWhole>(dx, out + i * d.c, left, sum[i], how);
  } else {
    for (int i = 0; i < columns && first_w + i < d.w; ++i) {
      Floats<kW> sum = {};
      for (int r = 0; r < d.r; ++r)
        for (int s = 0; s < d.s; ++s) {
          const int row = meet(h, d.pad_h, r, patch.top), column = meet(first_w + i, d.pad_w, s, patch.left);
          if (row < 0 || column < 0) continue;
          const Floats<kW> f = load<kW>(from, (row * patch.columns + column) * kGroup<T>);
          const Floats<kW> window = load_word<kWhole>(w, (r * d.s + s) * d.c + c, left);
          for (int k = 0; k < kW; ++k) sum.v[k] = fmaf(f.v[k], window.v[k], sum.v[k]);
        }
      put_word<kWhole>(dx, out + i * d.c, left, sum, how);
    }
  }
}

}  // namespace

void depthwise_backward_data(const DepthwiseShape& d, Buffer dy, Buffer w, Into dx, cudaStream_t stream) {
  if (d.x_size() == 0) return;
  visit_device(dy.dtype, [&]<class T>(T) {
    with_stride(d, [&]<int kStride>(std::integral_constant<int, kStride>) {
      int rows = kTileRows, columns = 8;
      const auto bytes = [&] { return patch_bytes(seen(rows, d.r, d.stride), seen(columns, d.s, d.stride)); };
      while (bytes() > 48 << 10 && columns > 1) rows > columns ? rows /= 2 : columns /= 2;
      REQUIRE_THAT(bytes() <= 48 << 10, "depthwise_backward_data: a window of ", d.r, "x", d.s, " does not fit into shared memory");
      const TileGrid grid = tile_grid<T>(d.n, d.h, d.w, d.c, rows, columns);
      with_width<kWide<T>>({dy.data, w.data, dx.buffer.data}, d.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
        launch(depthwise_backward_data_kernel<V, kStride, T>, blocks_for(grid.count() * grid.groups, 1), dim3(32, kTileWarps),
               size_t(bytes()), stream, d, d.p(), d.q(), grid, rows, columns, dy.as<T>(), w.as<T>(), dx.buffer.as<T>(), dx.how);
      });
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
