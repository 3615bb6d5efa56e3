#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/norm.cuh"

namespace ptrain::cuda {
namespace {

// The output before which a gradient stops: y where it is known (inference), or computed again from x as norm_apply_kernel does (training).
template <int V>
struct Output {
  Floats<V> center, scale, shift;
  __device__ static Output of(const float* mean, const float* gamma, const float* inv_std, const float* beta, int64_t c) {
    Output o{load<V>(mean, c), load_or_ones<V>(gamma, c), {}};
    if (!beta) return o;
    const Floats<V> spread = load<V>(inv_std, c);
    for (int k = 0; k < V; ++k) o.scale.v[k] *= spread.v[k];
    o.shift = load<V>(beta, c);
    return o;
  }
  template <class T>
  __device__ Floats<V> at(const T* y, int64_t i, const Floats<V>& x) const {
    if (y) return load<V>(y, i);
    Floats<V> f;
    for (int k = 0; k < V; ++k) f.v[k] = fmaf(x.v[k] - center.v[k], scale.v[k], shift.v[k]);
    return f;
  }
};

// With dz = dy · act′(y):   partial Σ dz and Σ dz · (x − mean) of [walker, c] over the rows of that walker
// Layout : x, y, dy are rows × c of T (y only in inference with an activation); sums and products are [walkers, c] in float32.
// Thread : V neighbouring channels of every row of its walker; the threads of a column are added in shared memory.
// Memory : reads two values per element (three in inference with an activation): bound by the memory's bandwidth.
// Exact  : each thread adds in the order of its rows, threads as a tree: the same bits in every run and on every card.
template <int V, class T>
__global__ void norm_backward_sums_kernel(RowShape s, Act act, const T* x, const T* y, const T* dy, const float* gamma, const float* beta,
                                          const float* mean, const float* inv_std, float* sums, float* products) {
  PTRAIN_SHARED(float, shared_sums, [V * kRowBlock]);
  PTRAIN_SHARED(float, shared_products, [V * kRowBlock]);
  const int64_t c = first_channel<V>();
  Floats<V> sum = {}, product = {};
  if (c < s.c) {
    const Output<V> output = Output<V>::of(mean, gamma, inv_std, beta, c);
    for (int64_t row = first_row(); row < s.rows; row += row_step()) {
      const int64_t i = row * s.c + c;
      const Floats<V> d = load<V>(dy, i), f = x ? load<V>(x, i) : output.center, out = act == Act::none ? f : output.at(y, i, f);
      for (int k = 0; k < V; ++k) {
        const float dz = before(act, out.v[k], d.v[k]);
        sum.v[k] += dz;
        product.v[k] = fmaf(dz, f.v[k] - output.center.v[k], product.v[k]);
      }
    }
  }
  add_over_rows(sum, shared_sums);
  add_over_rows(product, shared_products);
  if (threadIdx.y != 0 || c >= s.c) return;
  store<V>(sums, blockIdx.y * s.c + c, sum);
  store<V>(products, blockIdx.y * s.c + c, product);
}

// inv_std of a channel: of the forward pass, or of the moving variance.
__device__ float inv_std_of(const float* inv_std, const float* variance, float eps, int64_t c) {
  return inv_std ? inv_std[c] : 1.f / sqrtf(variance[c] + eps);
}

struct Gradients {
  float *dgamma, *dbeta;  // or null
  Accumulate how_gamma, how_beta;
};

// dbeta = Σ dz, dgamma = Σ dz · x̂; both are left in totals for dx
// Layout : sums and products are [walkers, c]; totals is [2, c], dbeta before dgamma; all float32.
// Thread : one channel and every eighth walker of it; neighbouring threads take neighbouring channels, so loads coalesce.
// Memory : reads two values per walker and channel: a few kilobytes that the first pass has left in L2.
// Exact  : each thread adds in order, the eight sums as a tree: the same bits in every run.
__global__ void norm_backward_finish_kernel(int64_t walkers, int64_t channels, float eps, const float* sums, const float* products,
                                            const float* inv_std, const float* variance, float* totals, Gradients to) {
  PTRAIN_SHARED(float, shared_sums, [kFinishWalkers][kFinishColumns]);
  PTRAIN_SHARED(float, shared_products, [kFinishWalkers][kFinishColumns]);
  const unsigned x = threadIdx.x, y = threadIdx.y;
  const int64_t c = int64_t(blockIdx.x) * kFinishColumns + x;
  float sum = 0.f, product = 0.f;
  if (c < channels)
    for (int64_t i = y; i < walkers; i += kFinishWalkers) {
      sum += sums[i * channels + c];
      product += products[i * channels + c];
    }
  shared_sums[y][x] = sum, shared_products[y][x] = product;
  for (unsigned half = kFinishWalkers / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y < half) {
      shared_sums[y][x] += shared_sums[y + half][x];
      shared_products[y][x] += shared_products[y + half][x];
    }
  }
  if (y != 0 || c >= channels) return;
  const float dbeta = shared_sums[0][x], dgamma = shared_products[0][x] * inv_std_of(inv_std, variance, eps, c);
  totals[c] = dbeta;
  totals[channels + c] = dgamma;
  if (to.dbeta) put<1>(to.dbeta, c, Floats<1>{{dbeta}}, to.how_beta);
  if (to.dgamma) put<1>(to.dgamma, c, Floats<1>{{dgamma}}, to.how_gamma);
}

// dx = gamma · inv_std · (dz − dbeta/rows − x̂ · dgamma/rows) in training, where x reaches y through the statistics as well;
// dx = gamma · inv_std · dz in inference
// Layout : x, y, dy, dx are rows × c of T (x only in training, y only in inference with an activation); the rest is [c] in float32.
// Thread : V neighbouring channels of every row of its walker; the numbers of a channel stay in registers.
// Memory : reads up to three values and writes one per output: bound by the memory's bandwidth.
// Exact  : float32, rounded once to the type.
template <int V, class T, bool kTraining>
__global__ void norm_backward_dx_kernel(RowShape s, float eps, Act act, const T* x, const T* y, const T* dy, const float* gamma,
                                        const float* beta, const float* mean, const float* inv_std, const float* variance,
                                        const float* totals, T* dx, Accumulate how) {
  const int64_t c = first_channel<V>();
  if (c >= s.c) return;
  const Output<V> output = Output<V>::of(mean, gamma, inv_std, beta, c);
  Floats<V> factor = load_or_ones<V>(gamma, c), inv = load<V>(kTraining ? inv_std : variance, c), shift = {}, slope = {};
  if constexpr (kTraining) shift = load<V>(totals, c), slope = load<V>(totals, s.c + c);
  for (int k = 0; k < V; ++k) {
    if constexpr (!kTraining) inv.v[k] = 1.f / sqrtf(inv.v[k] + eps);
    factor.v[k] *= inv.v[k];
    if constexpr (kTraining) {
      shift.v[k] /= float(s.rows);
      slope.v[k] = slope.v[k] * inv.v[k] / float(s.rows);
    }
  }
  for (int64_t row = first_row(); row < s.rows; row += row_step()) {
    const int64_t i = row * s.c + c;
    Floats<V> d = load<V>(dy, i), f = {};
    if constexpr (kTraining) f = load<V>(x, i);
    const Floats<V> out = act == Act::none ? d : output.at(y, i, f);
    for (int k = 0; k < V; ++k) {
      float dz = before(act, out.v[k], d.v[k]);
      if constexpr (kTraining) dz = fmaf(output.center.v[k] - f.v[k], slope.v[k], dz - shift.v[k]);
      d.v[k] = factor.v[k] * dz;
    }
    put<V>(dx, i, d, how);
  }
}

template <bool kTraining>
void norm_backward(const NormShape& s, const NormBackward& t, Exec& exec, cudaStream_t stream) {
  if (s.size() == 0) return;
  const RowShape rows{s.rows, s.c};
  const auto pointer = [](Buffer b) { return b ? b.as<float>() : nullptr; };
  const float *inv_std = kTraining ? t.inv_std.as<float>() : nullptr, *variance = kTraining ? nullptr : t.variance.as<float>();
  const bool wants_sums = t.dgamma || t.dbeta || (kTraining && t.dx);
  visit_device(t.dy.dtype, [&]<class T>(T) {
    const T *x = t.x ? t.x.as<T>() : nullptr, *y = s.act == Act::none || kTraining ? nullptr : t.y.as<T>();
    const float* beta = kTraining && s.act != Act::none ? t.beta.as<float>() : nullptr;
    const void* dx = t.dx ? t.dx.buffer.data : nullptr;
    const bool whole = s.c % kPerChannel == 0 && aligned({pointer(t.gamma), beta, t.mean.data, inv_std, variance});
    with_width<kPerChannel>({x, y, t.dy.data, dx}, whole, [&]<int V>(std::integral_constant<int, V>) {
      float* totals = nullptr;
      if (wants_sums) {
        const RowTiling tiling = sum_rows(s.rows, s.c, V);
        const int64_t walkers = tiling.grid.y;
        auto* sums = static_cast<float*>(exec.scratch(2 * (walkers + 1) * s.c * int64_t(sizeof(float))));
        float* products = sums + walkers * s.c;
        totals = products + walkers * s.c;
        launch(norm_backward_sums_kernel<V, T>, tiling.grid, tiling.block, 0, stream, rows, s.act, x, y, t.dy.as<T>(), pointer(t.gamma),
               beta, t.mean.as<float>(), inv_std, sums, products);
        launch(norm_backward_finish_kernel, blocks_for(s.c, kFinishColumns), dim3(kFinishColumns, kFinishWalkers), 0, stream, walkers, s.c,
               float(s.eps), sums, products, inv_std, variance, totals,
               Gradients{pointer(t.dgamma.buffer), pointer(t.dbeta.buffer), t.dgamma.how, t.dbeta.how});
      }
      if (!t.dx) return;
      const RowTiling tiling = map_rows(s.rows, s.c, V);
      launch(norm_backward_dx_kernel<V, T, kTraining>, tiling.grid, tiling.block, 0, stream, rows, float(s.eps), s.act, x, y, t.dy.as<T>(),
             pointer(t.gamma), beta, t.mean.as<float>(), inv_std, variance, totals, t.dx.buffer.as<T>(), t.dx.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace

void norm_train_backward(const NormShape& s, const NormBackward& t, Exec& exec, cudaStream_t stream) {
  norm_backward<true>(s, t, exec, stream);
}
void norm_infer_backward(const NormShape& s, const NormBackward& t, Exec& exec, cudaStream_t stream) {
  norm_backward<false>(s, t, exec, stream);
}

}  // namespace ptrain::cuda
