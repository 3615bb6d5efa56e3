#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/norm.cuh"

namespace ptrain::cuda {
namespace {

// y = act((x − mean[c]) · gamma[c] · inv_std[c] + beta[c]), inv_std = 1/√(variance + eps) where it is not given
// Layout : x and y are rows × c of T; the rest is [c] in float32, gamma may be absent.
// Thread : V neighbouring channels of every row of its walker; the numbers of a channel stay in registers.
// Memory : reads and writes one value per output: bound by the memory's bandwidth.
// Exact  : a difference and a fused multiply-add in float32, rounded once to the type.
template <int V, class T>
__global__ void norm_apply_kernel(RowShape s, float eps, Act act, const T* x, const float* gamma, const float* beta, const float* mean,
                                  const float* inv_std, const float* variance, T* y) {
  const int64_t c = first_channel<V>();
  if (c >= s.c) return;
  Floats<V> scale = load_or_ones<V>(gamma, c);
  const Floats<V> center = load<V>(mean, c), shift = load<V>(beta, c), spread = load<V>(inv_std ? inv_std : variance, c);
  for (int k = 0; k < V; ++k) scale.v[k] *= inv_std ? spread.v[k] : 1.f / sqrtf(spread.v[k] + eps);
  for (int64_t row = first_row(); row < s.rows; row += row_step()) {
    Floats<V> f = load<V>(x, row * s.c + c);
    for (int k = 0; k < V; ++k) f.v[k] = activated(act, fmaf(f.v[k] - center.v[k], scale.v[k], shift.v[k]));
    store<V>(y, row * s.c + c, f);
  }
}

}  // namespace

void norm_apply(const NormShape& s, Buffer x, Buffer gamma, Buffer beta, Buffer mean, Buffer inv_std, Buffer variance, Buffer y,
                cudaStream_t stream) {
  const auto pointer = [](Buffer b) { return b ? b.as<const float>() : nullptr; };
  visit_device(x.dtype, [&]<class T>(T) {
    const bool whole = s.c % kPerChannel == 0 && aligned({pointer(gamma), beta.data, mean.data, pointer(inv_std), pointer(variance)});
    with_width<kPerChannel>({x.data, y.data}, whole, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.rows, s.c, V);
      launch(norm_apply_kernel<V, T>, t.grid, t.block, 0, stream, RowShape{s.rows, s.c}, float(s.eps), s.act, x.as<T>(), pointer(gamma),
             beta.as<float>(), mean.as<float>(), pointer(inv_std), pointer(variance), y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

void norm_infer_forward(const NormShape& s, const NormInfer& t, cudaStream_t stream) {
  if (s.size() == 0) return;
  norm_apply(s, t.x, t.gamma, t.beta, t.mean, {}, t.variance, t.y, stream);
}

}  // namespace ptrain::cuda
