#include "kernels/cuda/depthwise.cuh"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

constexpr int64_t kMostParts = 256;  // partial sums: they depend on the shape alone, so every card adds in the same order

// partial[part, r,s,c] = Σ dy[n,p,q,c] · x[n, p·stride − pad_h + r, q·stride − pad_w + s, c] over every parts-th tile
// Layout : NHWC, 3×3 windows; partial is [parts, 9, c] in float32. Patches of x and dy, 128 bytes of channels, lie in shared memory.
// Thread : 4 bytes of channels of a row of each tile, a warp to a row, nine sums in registers; warps are added in shared memory.
// Memory : reads each dy once and each x once and a halo: bound by the memory's bandwidth.
// Exact  : each warp adds tile by tile in order, then the eight warps in order: the same bits in every run and on every card.
template <int V, int kStride, class T>
__global__ void __launch_bounds__(kTileWarps * 32)
    depthwise_backward_filter_kernel(DepthwiseShape d, int64_t height, int64_t width, TileGrid grid, int64_t parts, const T* x, const T* dy,
                                     float* partial) {
  PTRAIN_DYNAMIC_SHARED(T, shared);
  constexpr int kW = kWord<T>, kColumns = tile_columns(kStride), kAcross = (kColumns - 1) * kStride + 3,
                kDown = (kTileRows - 1) * kStride + 3;
  T *tile = shared, *slopes = shared + kDown * kAcross * kGroup<T>;
  const int64_t group = blockIdx.x % grid.groups, part = blockIdx.x / grid.groups;
  Floats<kW> sum[9] = {};
  for (int64_t t = part; t < grid.count(); t += parts) {
    const TilePlace place = tile_place(grid, t);
    const int64_t p = place.row * kTileRows, q = place.column * kColumns;
    load_patch<V>(Patch{p * kStride - d.pad_h, q * kStride - d.pad_w, kDown, kAcross}, x + place.image * d.h * d.w * d.c, d.h, d.w, d.c,
                  group * kGroup<T>, tile);
    load_patch<V>(Patch{p, q, kTileRows, kColumns}, dy + place.image * height * width * d.c, height, width, d.c, group * kGroup<T>, slopes);
    __syncthreads();
    for (int i = 0; i < kColumns; ++i) {
      const Floats<kW> slope = load<kW>(slopes, (int(threadIdx.y) * kColumns + i) * kGroup<T> + threadIdx.x * kW);
      PTRAIN_UNROLL
      for (int rs = 0; rs < 9; ++rs) {
        const int pixel = (int(threadIdx.y) * kStride + rs / 3) * kAcross + i * kStride + rs % 3;
        const Floats<kW> f = load<kW>(tile, pixel * kGroup<T> + threadIdx.x * kW);
        for (int k = 0; k < kW; ++k) sum[rs].v[k] = fmaf(slope.v[k], f.v[k], sum[rs].v[k]);
      }
    }
    __syncthreads();  // before the next tile overwrites this one
  }
  // The sums of the warps: [warp][rs][k][lane], neighbouring lanes in neighbouring banks.
  auto* sums = reinterpret_cast<float*>(shared);
  PTRAIN_UNROLL
  for (int rs = 0; rs < 9; ++rs)
    for (int k = 0; k < kW; ++k) sums[((threadIdx.y * 9 + rs) * kW + k) * 32 + threadIdx.x] = sum[rs].v[k];
  __syncthreads();
  for (auto i = int(threadIdx.y * 32 + threadIdx.x); i < 9 * kW * 32; i += kTileWarps * 32) {
    float total = 0.f;
    for (int warp = 0; warp < kTileWarps; ++warp) total += sums[warp * 9 * kW * 32 + i];
    const int64_t rs = i / (kW * 32), k = i / 32 % kW, c = group * kGroup<T> + i % 32 * kW + k;
    if (c < d.c) partial[(part * 9 + rs) * d.c + c] = total;
  }
}

// The same for any window: partial[part, r,s,c]
// Layout : NHWC; partial is [parts, r·s, c] in float32.
// Thread : one channel, one place of the window, every eighth of every parts-th pixel of dy; neighbouring lanes take neighbouring channels.
// Memory : reads dy and x once for each place of the window, mostly from caches. No net has such windows: the simple way will do.
// Exact  : each thread adds in order, the eight of a channel as a tree: the same bits in every run and on every card.
template <class T>
__global__ void depthwise_backward_filter_any_kernel(DepthwiseShape d, int64_t height, int64_t width, int64_t groups, int64_t parts,
                                                     const T* x, const T* dy, float* partial) {
  PTRAIN_SHARED(float, sums, [kTileWarps][32]);
  const int64_t rs = blockIdx.x / groups % (d.r * d.s), part = blockIdx.x / groups / (d.r * d.s);
  const int64_t c = blockIdx.x % groups * 32 + threadIdx.x, r = rs / d.s, s = rs % d.s;
  float sum = 0.f;
  for (int64_t i = part * kTileWarps + threadIdx.y; c < d.c && i < d.n * height * width; i += parts * kTileWarps) {
    const int64_t q = i % width, p = i / width % height, n = i / width / height, h = p * d.stride - d.pad_h + r,
                  w = q * d.stride - d.pad_w + s;
    if (h >= 0 && h < d.h && w >= 0 && w < d.w)
      sum = fmaf(to_float(dy[i * d.c + c]), to_float(x[((n * d.h + h) * d.w + w) * d.c + c]), sum);
  }
  sums[threadIdx.y][threadIdx.x] = sum;
  for (unsigned half = kTileWarps / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half) sums[threadIdx.y][threadIdx.x] += sums[threadIdx.y + half][threadIdx.x];
  }
  if (threadIdx.y == 0 && c < d.c) partial[(part * d.r * d.s + rs) * d.c + c] = sums[0][threadIdx.x];
}

}  // namespace

void depthwise_backward_filter(const DepthwiseShape& d, Buffer x, Buffer dy, Into dw, Exec& exec, cudaStream_t stream) {
  if (d.w_size() == 0) return;
  const dim3 block(32, kTileWarps);
  visit_device(x.dtype, [&]<class T>(T) {
    with_stride(d, [&]<int kStride>(std::integral_constant<int, kStride>) {
      const int64_t groups = div_up(d.c, 32), pixels = d.n * d.p() * d.q();
      if constexpr (kStride == 0) {
        const int64_t parts =
            std::clamp<int64_t>(div_up(pixels, kTileWarps * 16), 1, kMostParts);  // 16 pixels a thread make it worth its end
        auto* partial = static_cast<float*>(exec.scratch(parts * d.w_size() * int64_t(sizeof(float))));
        launch(depthwise_backward_filter_any_kernel<T>, blocks_for(groups * parts * d.r * d.s, 1), block, 0, stream, d, d.p(), d.q(),
               groups, parts, x.as<T>(), dy.as<T>(), partial);
        add_partials(parts, d.w_size(), partial, 1.f, dw.buffer, dw.how, stream);
      } else {
        constexpr int kColumns = tile_columns(kStride);
        constexpr int64_t kBytes =
            patch_bytes((kTileRows - 1) * kStride + 3, (kColumns - 1) * kStride + 3) + patch_bytes(kTileRows, kColumns);
        static_assert(kBytes >= kTileWarps * 9 * kWord<T> * 32 * int64_t(sizeof(float)),
                      "the sums of the warps take the place of the patches");
        const TileGrid grid = tile_grid<T>(d.n, d.p(), d.q(), d.c, kTileRows, kColumns);
        const int64_t parts = std::clamp<int64_t>(grid.count(), 1, kMostParts);
        auto* partial = static_cast<float*>(exec.scratch(parts * d.w_size() * int64_t(sizeof(float))));
        with_width<kWide<T>>({x.data, dy.data}, d.c % kWide<T> == 0, [&]<int V>(std::integral_constant<int, V>) {
          launch(depthwise_backward_filter_kernel<V, kStride, T>, blocks_for(parts * grid.groups, 1), block, size_t(kBytes), stream, d,
                 d.p(), d.q(), grid, parts, x.as<T>(), dy.as<T>(), partial);
        });
        add_partials(parts, d.w_size(), partial, 1.f, dw.buffer, dw.how, stream);
      }
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
