// defines: kernels with faults that the checker must see
#pragma once

#include <cuda_runtime.h>

namespace ptrain::test {

void launch_racing(float* y, cudaStream_t stream);      // a barrier is missing
void launch_two_blocks(float* y, cudaStream_t stream);  // two blocks write one place
void launch_column(float* y, cudaStream_t stream);      // 32 lanes in one bank, and in 32 sectors

}  // namespace ptrain::test
