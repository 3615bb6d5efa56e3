// The one function that the library exports.
#include "kernels/plugin.hpp"

#include <cstring>

#include "kernels/cuda/cuda.hpp"

extern "C" PTRAIN_EXPORT bool ptrain_make_backend(const char* abi, int device, std::shared_ptr<ptrain::Backend>* backend) {
  if (std::strcmp(abi, PTRAIN_ABI_HASH) != 0) return false;
  *backend = std::make_shared<ptrain::cuda::CudaBackend>(device, ptrain::cuda::Options::from_environment());
  return true;
}
