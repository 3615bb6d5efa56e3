// Dense layers by cuBLAS, which counts column by column: a matrix of ours is the transpose of the same memory there.
#include <limits>

#include "kernels/cuda/cuda.hpp"

namespace ptrain::cuda {
namespace {

cudaDataType cublas_type(DType t) {
  switch (t) {
    case DType::float32: return CUDA_R_32F;
    case DType::float16: return CUDA_R_16F;
    case DType::bfloat16: return CUDA_R_16BF;
    default: fail(ErrorKind::failed, "cuBLAS: no product in ", str(t));
  }
}

}  // namespace

// c (m × n, column by column) = op(a) · op(b) [+ c]. Sums are float32, also of half types.
void CudaBackend::gemm(Exec& e, bool a_transposed, bool b_transposed, int64_t m, int64_t n, int64_t k, Buffer a, int64_t lda, Buffer b,
                       int64_t ldb, Into c, int64_t ldc) {
  const int64_t largest = std::numeric_limits<int>::max();
  REQUIRE_THAT(m <= largest && n <= largest && k <= largest, "cuBLAS: a product of ", m, " x ", k, " and ", k, " x ", n, " is too large");
  const float one = 1, add = c.how == Accumulate::yes ? 1 : 0;
  const std::lock_guard lock(handles_);
  const auto op = [](bool transposed) { return transposed ? CUBLAS_OP_T : CUBLAS_OP_N; };
  GPU_CHECK(cublasGemmEx(lane_of(e).cublas, op(a_transposed), op(b_transposed), int(m), int(n), int(k), &one, a.data, cublas_type(a.dtype),
                         int(lda), b.data, cublas_type(b.dtype), int(ldb), &add, c.buffer.data, cublas_type(c.buffer.dtype), int(ldc),
                         options_.tf32 && a.dtype == DType::float32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F,
                         CUBLAS_GEMM_DEFAULT));
}

// yᵀ[k, m] = wᵀ[k, c] · xᵀ[c, m]
void CudaBackend::do_dense_forward(Exec& e, const DenseShape& s, Buffer x, Buffer w, Buffer y) {
  run(e, "dense_forward", {y}, [&](cudaStream_t) { gemm(e, false, false, s.k, s.m, s.c, w, s.k, x, s.c, Into{y}, s.k); });
}

// dxᵀ[c, m] = w[c, k] · dyᵀ[k, m]
void CudaBackend::do_dense_backward_data(Exec& e, const DenseShape& s, Buffer dy, Buffer w, Into dx) {
  run(e, "dense_backward_data", {dx.buffer}, [&](cudaStream_t) { gemm(e, true, false, s.c, s.m, s.k, w, s.k, dy, s.k, dx, s.c); });
}

// dwᵀ[k, c] = dyᵀ[k, m] · x[m, c]
void CudaBackend::do_dense_backward_filter(Exec& e, const DenseShape& s, Buffer x, Buffer dy, Into dw) {
  run(e, "dense_backward_filter", {dw.buffer}, [&](cudaStream_t) { gemm(e, false, true, s.k, s.c, s.m, dy, s.k, x, s.c, dw, s.k); });
}

}  // namespace ptrain::cuda
