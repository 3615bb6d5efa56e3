#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/types.cuh"

namespace ptrain::cuda {
namespace {

// y[i] = value
// Layout : y is flat.
// Thread : one element; neighbouring threads write neighbouring elements, so stores coalesce.
// Memory : writes one value per output, hence bound by the memory's bandwidth.
// Exact  : yes.
template <class T>
__global__ void fill_kernel(T value, int64_t size, T* y) {
  const int64_t i = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < size) y[i] = value;
}

template <class T>
void fill_with(T value, Buffer y, cudaStream_t stream) {
  constexpr int kBlock = 256;  // eight warps: enough of them in flight on every card
  launch(fill_kernel<T>, unsigned((y.size + kBlock - 1) / kBlock), kBlock, 0, stream, value, y.size, y.as<T>());
  GPU_CHECK(cudaGetLastError());
}

}  // namespace

void fill(double value, Buffer y, cudaStream_t stream) {
  if (y.size == 0) return;
  if (y.dtype == DType::int32) return fill_with(int32_t(value), y, stream);
  if (y.dtype == DType::uint8) return fill_with(uint8_t(value), y, stream);
  visit_device(y.dtype, [&]<class T>(T) { fill_with(T(float(value)), y, stream); });
}

}  // namespace ptrain::cuda
