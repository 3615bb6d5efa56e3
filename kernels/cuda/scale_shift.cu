#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

// y[row,c] = act(x[row,c] · scale[c] + shift[c])
// Layout : rows of x are x_width wide, those of y are dense; scale and shift are [c] in float32.
// Thread : V neighbouring channels of every row of its walker; scale and shift stay in registers.
// Memory : reads and writes one value per output: bound by the memory's bandwidth.
// Exact  : one fused multiply-add in float32, rounded once to the type.
template <int V, class T>
__global__ void scale_shift_act_kernel(ScaleShiftShape s, const T* x, const float* scale, const float* shift, T* y) {
  const int64_t c = first_channel<V>();
  if (c >= s.c) return;
  const Floats<V> a = load<V>(scale, c), b = load<V>(shift, c);
  for (int64_t row = first_row(); row < s.rows; row += row_step()) {
    Floats<V> f = load<V>(x, row * s.x_width + c);
    for (int k = 0; k < V; ++k) f.v[k] = activated(s.act, fmaf(f.v[k], a.v[k], b.v[k]));
    store<V>(y, row * s.c + c, f);
  }
}

// out[i, j] = in[i, j] · scale[j]
// Layout : in and out are rows × columns and may differ in type; scale is [columns] in float32.
// Thread : one column of every row of its walker.
// Memory : reads and writes one value per output. Weights of a depthwise convolution: kilobytes, once a net.
// Exact  : one product, rounded once to the type.
template <class T, class U>
__global__ void scale_channels_kernel(RowShape s, const T* in, const float* scale, U* out) {
  const int64_t c = first_channel<1>();
  if (c >= s.c) return;
  const float a = scale[c];
  for (int64_t row = first_row(); row < s.rows; row += row_step()) out[row * s.c + c] = from_float<U>(to_float(in[row * s.c + c]) * a);
}

}  // namespace

void scale_shift_act(const ScaleShiftShape& s, Buffer x, Buffer scale, Buffer shift, Buffer y, cudaStream_t stream) {
  if (s.rows == 0 || s.c == 0) return;
  visit_device(x.dtype, [&]<class T>(T) {
    const bool wide = s.c % kPerChannel == 0 && s.x_width % kPerChannel == 0;
    with_width<kPerChannel>({x.data, scale.data, shift.data, y.data}, wide, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.rows, s.c, V);
      launch(scale_shift_act_kernel<V, T>, t.grid, t.block, 0, stream, s, x.as<T>(), scale.as<float>(), shift.as<float>(), y.as<T>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

void scale_channels(int64_t rows, int64_t columns, Buffer in, Buffer scale, Buffer out, cudaStream_t stream) {
  if (rows == 0 || columns == 0) return;
  visit_device(in.dtype, [&]<class T>(T) {
    visit_device(out.dtype, [&]<class U>(U) {
      const RowTiling t = map_rows(rows, columns, 1);
      launch(scale_channels_kernel<T, U>, t.grid, t.block, 0, stream, RowShape{rows, columns}, in.as<T>(), scale.as<float>(), out.as<U>());
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
