#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/norm.cuh"

namespace ptrain::cuda {
namespace {

// Mean and sum of squared differences from it, of `n` values: Welford's update, and Chan's for two sets of values. Neither takes the
// difference of two large sums.
struct Spread {
  float mean = 0.f, squares = 0.f;

  __device__ void add(float x, float one_over_n) {  // n counts x
    const float d = x - mean;
    mean = fmaf(d, one_over_n, mean);
    squares = fmaf(d, x - mean, squares);
  }
  __device__ void merge(float n, const Spread& other, float other_n) {
    if (other_n == 0.f) return;
    const float d = other.mean - mean, share = other_n / (n + other_n);
    mean = fmaf(d, share, mean);
    squares += fmaf(d * d, n * share, other.squares);
  }
};

// How many rows walker `i` has when `walkers` of them take `height` rows in turn.
__device__ int64_t rows_of(int64_t rows, int64_t height, int64_t walkers, int64_t i) {
  const int64_t rest = rows % (walkers * height) - i * height;
  return rows / (walkers * height) * height + (rest < 0 ? 0 : rest > height ? height : rest);
}

// partial mean and squares of [walker, c] over the rows of that walker
// Layout : x is rows × c of T; means and squares are [walkers, c] in float32.
// Thread : V neighbouring channels of every row of its walker; the threads of a column are merged in shared memory.
// Memory : reads one value per element of x, once: bound by the memory's bandwidth.
// Exact  : Welford in the order of rows, threads merged as a tree: the same bits in every run and on every card.
template <int V, class T>
__global__ void norm_spread_kernel(RowShape s, const T* x, float* means, float* squares) {
  PTRAIN_SHARED(float, shared_mean, [V * kRowBlock]);
  PTRAIN_SHARED(float, shared_squares, [V * kRowBlock]);
  PTRAIN_SHARED(float, shared_count, [kRowBlock]);
  const int64_t c = first_channel<V>();
  Spread spread[V];
  float count = 0.f;
  if (c < s.c)
    for (int64_t row = first_row(); row < s.rows; row += row_step()) {
      const Floats<V> f = load<V>(x, row * s.c + c);
      const float one_over_n = 1.f / ++count;
      for (int k = 0; k < V; ++k) spread[k].add(f.v[k], one_over_n);
    }
  for (int k = 0; k < V; ++k) {
    shared_mean[shared_place(k, threadIdx.y)] = spread[k].mean;
    shared_squares[shared_place(k, threadIdx.y)] = spread[k].squares;
  }
  shared_count[shared_place(0, threadIdx.y)] = count;
  unsigned half = 1;
  while (half < blockDim.y) half *= 2;
  for (half /= 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.y < half && threadIdx.y + half < blockDim.y) {
      const float other = shared_count[shared_place(0, threadIdx.y + half)];
      for (int k = 0; k < V; ++k) {
        const int from = shared_place(k, threadIdx.y + half);
        spread[k].merge(count, {shared_mean[from], shared_squares[from]}, other);
        shared_mean[shared_place(k, threadIdx.y)] = spread[k].mean;
        shared_squares[shared_place(k, threadIdx.y)] = spread[k].squares;
      }
      count += other;
      shared_count[shared_place(0, threadIdx.y)] = count;
    }
  }
  if (threadIdx.y != 0 || c >= s.c) return;
  Floats<V> mean, square;
  for (int k = 0; k < V; ++k) mean.v[k] = spread[k].mean, square.v[k] = spread[k].squares;
  store<V>(means, blockIdx.y * s.c + c, mean);
  store<V>(squares, blockIdx.y * s.c + c, square);
}

// What the finished statistics of a channel become.
struct Statistics {
  float eps, momentum, one_minus_momentum;
  float *moving_mean, *moving_variance, *mean, *inv_std;
};

// mean, inv_std = 1/√(variance + eps), and the moving statistics, from the partial ones
// Layout : means and squares are [walkers, c], the results [c], all float32.
// Thread : one channel and every eighth walker of it; neighbouring threads take neighbouring channels, so loads coalesce.
// Memory : reads two values per walker and channel: a few kilobytes that the first pass has left in L2.
// Exact  : walkers are merged in order, the eight results as a tree: the same bits in every run. The variance is the biased one.
__global__ void norm_statistics_kernel(RowShape s, int64_t height, int64_t walkers, const float* means, const float* squares,
                                       Statistics to) {
  PTRAIN_SHARED(float, shared_mean, [kFinishWalkers][kFinishColumns]);
  PTRAIN_SHARED(float, shared_squares, [kFinishWalkers][kFinishColumns]);
  PTRAIN_SHARED(float, shared_count, [kFinishWalkers][kFinishColumns]);
  const unsigned x = threadIdx.x, y = threadIdx.y;
  const int64_t c = int64_t(blockIdx.x) * kFinishColumns + x;
  Spread spread;
  float count = 0.f;
  if (c < s.c)
    for (int64_t i = y; i < walkers; i += kFinishWalkers) {
      const auto n = float(rows_of(s.rows, height, walkers, i));
      spread.merge(count, {means[i * s.c + c], squares[i * s.c + c]}, n);
      count += n;
    }
  shared_mean[y][x] = spread.mean, shared_squares[y][x] = spread.squares, shared_count[y][x] = count;
  for (unsigned half = kFinishWalkers / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y < half) {
      spread.merge(count, {shared_mean[y + half][x], shared_squares[y + half][x]}, shared_count[y + half][x]);
      count += shared_count[y + half][x];
      shared_mean[y][x] = spread.mean, shared_squares[y][x] = spread.squares, shared_count[y][x] = count;
    }
  }
  if (y != 0 || c >= s.c) return;
  const float variance = spread.squares / float(s.rows);
  to.mean[c] = spread.mean;
  to.inv_std[c] = 1.f / sqrtf(variance + to.eps);
  to.moving_mean[c] = fmaf(to.moving_mean[c], to.momentum, spread.mean * to.one_minus_momentum);
  to.moving_variance[c] = fmaf(to.moving_variance[c], to.momentum, variance * to.one_minus_momentum);
}

}  // namespace

void norm_train_forward(const NormShape& s, const NormTrain& t, Exec& exec, cudaStream_t stream) {
  if (s.size() == 0) return;
  const RowShape rows{s.rows, s.c};
  visit_device(t.x.dtype, [&]<class T>(T) {
    with_width<kPerChannel>({t.x.data}, s.c % kPerChannel == 0, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling tiling = sum_rows(s.rows, s.c, V);
      const int64_t walkers = tiling.grid.y;
      auto* means = static_cast<float*>(exec.scratch(2 * walkers * s.c * int64_t(sizeof(float))));
      float* squares = means + walkers * s.c;
      launch(norm_spread_kernel<V, T>, tiling.grid, tiling.block, 0, stream, rows, t.x.as<T>(), means, squares);
      const Statistics to{
          float(s.eps),       float(t.momentum),    float(1 - t.momentum), t.moving_mean.as<float>(), t.moving_variance.as<float>(),
          t.mean.as<float>(), t.inv_std.as<float>()};
      launch(norm_statistics_kernel, blocks_for(s.c, kFinishColumns), dim3(kFinishColumns, kFinishWalkers), 0, stream, rows,
             int64_t(tiling.block.y), walkers, means, squares, to);
    });
  });
  norm_apply(s, t.x, t.gamma, t.beta, t.mean, t.inv_std, {}, t.y, stream);
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
