#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/rows.cuh"

namespace ptrain::cuda {
namespace {

// to[row, to + i] = from[row, from + i]; the other channels of `to` stay as they are
// Layout : rows of `from` and `to` have their own widths; concatenation, splitting and appending are all this copy.
// Thread : V neighbouring channels of every row of its walker; a block covers several rows where `count` is small.
// Memory : reads and writes one value per output: bound by the memory's bandwidth.
// Exact  : values only move; accumulation rounds once.
template <int V, class T>
__global__ void copy_channels_kernel(ChannelCopy s, const T* from, T* to, Accumulate how) {
  const int64_t c = first_channel<V>();
  if (c >= s.count) return;
  for (int64_t row = first_row(); row < s.rows; row += row_step()) {
    const T* source = from + row * s.from_width + s.from + c;
    T* target = to + row * s.to_width + s.to + c;
    if (how == Accumulate::yes) put<V>(target, 0, load<V>(source, 0), how);
    else store_bits<V>(target, load_bits<V>(source));
  }
}

}  // namespace

void copy_channels(const ChannelCopy& s, Buffer from, Into to, cudaStream_t stream) {
  if (s.rows == 0 || s.count == 0) return;
  visit_device(from.dtype, [&]<class T>(T) {
    const bool whole = (s.count | s.from_width | s.from | s.to_width | s.to) % kWide<T> == 0;  // a power of two divides all of them
    with_width<kWide<T>>({from.data, to.buffer.data}, whole, [&]<int V>(std::integral_constant<int, V>) {
      const RowTiling t = map_rows(s.rows, s.count, V);
      launch(copy_channels_kernel<V, T>, t.grid, t.block, 0, stream, s, from.as<T>(), to.buffer.as<T>(), to.how);
    });
  });
  GPU_CHECK(cudaGetLastError());
}

}  // namespace ptrain::cuda
