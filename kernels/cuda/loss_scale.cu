#include <algorithm>
#include <cfloat>

#include "kernels/cuda/exact.cuh"
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/reduce.cuh"
#include "kernels/cuda/tensors.cuh"

namespace ptrain::cuda {
namespace {

__device__ bool is_finite(float v) { return fabsf(v) <= FLT_MAX; }

// Clears the flag when a lane has seen an infinity or a NaN. All lanes of the warp must come.
__device__ void report(bool all_finite, int32_t* finite) {
  if (__any_sync(kAllLanes, !all_finite) && threadIdx.x % 32 == 0) atomicAnd(finite, 0);
}

template <int V>
__device__ bool divide(const TensorEntry& t, float scale, int64_t i) {
  Floats<V> g = load_any<V>(t.dw, t.dw_type, i, t.size);
  bool all = true;
  for (int k = 0; k < V; ++k) {
    g.v[k] = (Rounded(g.v[k]) / Rounded(scale)).v;
    all &= is_finite(rounded_to(t.dw_type, g.v[k]));
  }
  store_any<V>(t.dw, t.dw_type, i, t.size, g);
  return all;
}

// dw /= scale for every tensor of the table; finite = 0 when a quotient is infinite or NaN
// Layout : tensors are flat, float32 or a half type; scale is a float32 and finite an int32 on the device.
// Thread : four vectors of four values, a block apart; a block belongs to one tensor and finds it by bisection.
// Memory : reads and writes one value per element: bound by the memory's bandwidth.
// Exact  : one division, rounded once to the type. The flag only ever falls, so the order of blocks does not matter.
__global__ void unscale_kernel(const __grid_constant__ TensorTable table, const float* scale, int32_t* finite) {
  const TensorEntry& t = table.of[table.find(int(blockIdx.x))];
  const int64_t begin = int64_t(int(blockIdx.x) - t.first_block) * kTensorChunk,
                end = begin + kTensorChunk < t.size ? begin + kTensorChunk : t.size;
  const float divisor = *scale;
  bool all = true;
  if (t.wide) {
    for (int64_t i = begin + threadIdx.x * 4; i < end; i += kTensorBlock * 4) all &= divide<4>(t, divisor, i);
  } else {
    for (int64_t i = begin + threadIdx.x; i < end; i += kTensorBlock) all &= divide<1>(t, divisor, i);
  }
  report(all, finite);
}

constexpr int kBlock = 256;            // eight warps
constexpr int64_t kMostBlocks = 2048;  // enough for every card

// finite = 0 when an element of x is infinite or NaN
// Layout : x is flat, finite an int32 that holds 1 beforehand.
// Thread : V neighbouring values of every gridDim-th stretch; neighbouring threads take neighbouring vectors.
// Memory : reads one value per element: bound by the memory's bandwidth.
// Exact  : yes. The flag only ever falls, so the order of blocks does not matter.
template <int V, class T>
__global__ void all_finite_kernel(int64_t size, const T* x, int32_t* finite) {
  bool all = true;
  for (int64_t i = thread_index() * V; i < size; i += int64_t(gridDim.x) * kBlock * V) {
    const Floats<V> f = load<V>(x, i, size);
    for (int k = 0; k < V; ++k) all &= is_finite(f.v[k]);
  }
  report(all, finite);
}

// finite: one more in the row, and scale ×2 with a new count when the row is complete. Not finite: scale ×0.5 and a new count.
// Layout : single values on the device.
// Thread : one.
// Memory : a few bytes; the launch is all it costs, and the host need not wait.
// Exact  : yes: powers of two. The scale stays in [2^-126, 2^127].
__global__ void update_loss_scale_kernel(int32_t growth_steps, const int32_t* finite, float* scale, int32_t* counter) {
  const bool grows = *finite != 0;
  if (grows && ++*counter < growth_steps) return;
  *counter = 0;
  *scale = fminf(fmaxf(grows ? *scale * 2.f : *scale / 2.f, 0x1p-126f), 0x1p127f);
}

}  // namespace

void unscale(std::span<const OptimizerSlot> slots, Buffer scale, Buffer finite, cudaStream_t stream) {
  fill(1, finite, stream);
  for_tables(slots, [&](const TensorTable& table) {
    launch(unscale_kernel, unsigned(table.blocks), kTensorBlock, 0, stream, table, scale.as<float>(), finite.as<int32_t>());
  });
  GPU_CHECK(cudaGetLastError());
}

void update_loss_scale(const LossScaleState& s, Buffer finite, cudaStream_t stream) {
  launch(update_loss_scale_kernel, 1, 1, 0, stream, s.growth_steps, finite.as<int32_t>(), s.scale.as<float>(), s.counter.as<int32_t>());
  GPU_CHECK(cudaGetLastError());
}

void all_finite(Buffer x, Buffer finite, cudaStream_t stream) {
  fill(1, finite, stream);
  if (x.size == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    with_width<kWide<T>>({x.data}, [&]<int V>(std::integral_constant<int, V>) {
      const auto blocks = unsigned(std::min(div_up(x.size, kBlock * V), kMostBlocks));
      launch(all_finite_kernel<V, T>, blocks, kBlock, 0, stream, x.size, x.as<T>(), finite.as<int32_t>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
