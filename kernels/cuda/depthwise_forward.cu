#include "kernels/cuda/depthwise.cuh"
#include "kernels/cuda/kernels.hpp"

namespace ptrain::cuda {
namespace {

// What happens to a sum before it is stored.
template <class T>
struct Epilogue {
  Act act;
  const float* shift;  // or null
  const T* residual;   // or null
};

// The shift of this lane's channels; zeros without one.
template <bool kWhole, class T>
__device__ Floats<kWord<T>> load_shift(const Epilogue<T>& e, int64_t c, int64_t left) {
  Floats<kWord<T>> shift = {};
  if (kWhole && e.shift) return load<kWord<T>>(e.shift, c);
  for (int k = 0; k < kWord<T>; ++k)
    if (e.shift && k < left) shift.v[k] = e.shift[c + k];
  return shift;
}

template <bool kWhole, class T>
__device__ void finish(const Epilogue<T>& e, const Floats<kWord<T>>& shift, int64_t i, int64_t left, Floats<kWord<T>> sum, T* y) {
  for (int k = 0; k < kWord<T>; ++k) sum.v[k] += shift.v[k];
  if (e.residual) {
    const Floats<kWord<T>> add = load_word<kWhole>(e.residual, i, left);
    for (int k = 0; k < kWord<T>; ++k) sum.v[k] += add.v[k];
  }
  for (int k = 0; k < kWord<T>; ++k) sum.v[k] = activated(e.act, sum.v[k]);
  put_word<kWhole>(y, i, left, sum, Accumulate::no);
}

// y[n,p,q,c] = act(Σ_{r,s} x[n, p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c] [+ shift[c]] [+ residual])
// Layout : NHWC, w is [r,s,c]. A block makes tile_rows × columns pixels of 128 bytes of channels from a patch of x in shared memory.
// Thread : 4 bytes of channels of a row of the tile, a warp to a row. Loads move 16 bytes a thread, 128 a pixel; stores 128 a warp.
// Memory : reads each x once and a halo (1.6 times for 3×3 with stride 1), writes one value: bound by the memory's bandwidth.
// Exact  : float32 sums in r,s order: the same bits in every run.
template <int V, int kStride, class T>
__global__ void __launch_bounds__(kTileWarps * 32, 4)
    depthwise_forward_kernel(DepthwiseShape d, int64_t height, int64_t width, TileGrid grid, int rows, int columns, const T* x, const T* w,
                             Epilogue<T> epilogue, T* y) {
  PTRAIN_DYNAMIC_SHARED(T, tile);
  constexpr bool kWhole = V > 1;
  constexpr int kW = kWord<T>;
  const int64_t group = blockIdx.x % grid.groups, c = group * kGroup<T> + int64_t(threadIdx.x) * kW, left = d.c - c;
  const TilePlace place = tile_place(grid, blockIdx.x / grid.groups);
  const int64_t first_p = place.row * rows, first_q = place.column * columns, p = first_p + threadIdx.y;
  const Patch patch{first_p * d.stride - d.pad_h, first_q * d.stride - d.pad_w, int((rows - 1) * d.stride + d.r),
                    int((columns - 1) * d.stride + d.s)};
  load_patch<V>(patch, x + place.image * d.h * d.w * d.c, d.h, d.w, d.c, group * kGroup<T>, tile);
  __syncthreads();
  const int64_t out = ((place.image * height + p) * width + first_q) * d.c + c;
  if (left <= 0 || p >= height) return;
  const Floats<kW> shift = load_shift<kWhole>(epilogue, c, left);

  if constexpr (kStride > 0) {  // 3×3: every value of the tile is read once, the window is in registers
    constexpr int kColumns = tile_columns(kStride), kAcross = (kColumns - 1) * kStride + 3;
    Floats<kW> sum[kColumns] = {};
    PTRAIN_UNROLL
    for (int r = 0; r < 3; ++r) {
      Floats<kW> window[3];
      PTRAIN_UNROLL
      for (int s = 0; s < 3; ++s) window[s] = load_word<kWhole>(w, (r * 3 + s) * d.c + c, left);
      const T* from = tile + (int(threadIdx.y) * kStride + r) * kAcross * kGroup<T> + threadIdx.x * kW;
      PTRAIN_UNROLL
      for (int j = 0; j < kAcross; ++j) {
        const Floats<kW> f = load<kW>(from, j * kGroup<T>);
        PTRAIN_UNROLL
        for (int s = 0; s < 3; ++s)
          if (j >= s && (j - s) % kStride == 0 && (j - s) / kStride < kColumns)
            for (int k = 0; k < kW; ++k) sum[(j - s) / kStride].v[k] = fmaf(f.v[k], window[s].v[k], sum[(j - s) / kStride].v[k]);
      }
    }
    PTRAIN_UNROLL
    for (int q = 0; q < kColumns; ++q)
      if (first_q + q < width) finish<kWhole>(epilogue, shift, out + q * d.c, left, sum[q], y);
  } else {
    if (int(threadIdx.y) >= rows) return;
    for (int q = 0; q < columns && first_q + q < width; ++q) {
      Floats<kW> sum = {};
      for (int r = 0; r < d.r; ++r)
        for (int s = 0; s < d.s; ++s) {
          const int64_t pixel = (threadIdx.y * d.stride + r) * patch.columns + q * d.stride + s;
          const Floats<kW> f = load<kW>(tile, pixel * kGroup<T> + threadIdx.x * kW);
          const Floats<kW> window = load_word<kWhole>(w, (r * d.s + s) * d.c + c, left);
          for (int k = 0; k < kW; ++k) sum.v[k] = fmaf(f.v[k], window.v[k], sum.v[k]);
        }
      finish<kWhole>(epilogue, shift, out + q * d.c, left, sum, y);
    }
  }
}

}  // namespace

void depthwise_forward(const DepthwiseShape& d, Act act, Buffer x, Buffer w, Buffer shift, Buffer residual, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    with_stride(d, [&]<int kStride>(std::integral_constant<int, kStride>) {
      int rows = kTileRows, columns = kStride > 0 ? tile_columns(kStride) : kTileRows;
      const auto bytes = [&] { return patch_bytes(int((rows - 1) * d.stride + d.r), int((columns - 1) * d.stride + d.s)); };
      while (bytes() > 48 << 10 && columns > 1) rows > columns ? rows /= 2 : columns /= 2;
      REQUIRE_THAT(bytes() <= 48 << 10, "depthwise_forward: a window of ", d.r, "x", d.s, " does not fit into shared memory");
      const TileGrid grid = tile_grid<T>(d.n, d.p(), d.q(), d.c, rows, columns);
      const Epilogue<T> epilogue{act, shift ? shift.as<float>() : nullptr, residual ? residual.as<T>() : nullptr};
      with_width<kWide<T>>(
          {x.data, w.data, epilogue.shift, epilogue.residual, y.data}, d.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
            launch(depthwise_forward_kernel<V, kStride, T>, blocks_for(grid.count() * grid.groups, 1), dim3(32, kTileWarps),
                   size_t(bytes()), stream, d, d.p(), d.q(), grid, rows, columns, x.as<T>(), w.as<T>(), epilogue, y.as<T>());
          });
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
