// Stand-in for cuBLAS: the products that ptrain asks for, with float sums.
#include "cublas_v2.h"

#include <vector>

#include "kernels/dtype.hpp"
#include "kernels/simt/stream.hpp"

struct cublasContext {
  cudaStream_t stream = nullptr;
  cublasMath_t math = CUBLAS_DEFAULT_MATH;
};

namespace {

using ptrain::BFloat16;
using ptrain::Float16;

size_t size_of(cudaDataType t) { return t == CUDA_R_32F ? 4 : 2; }

float load(const void* p, cudaDataType t, size_t i) {
  if (t == CUDA_R_16F) return float(static_cast<const Float16*>(p)[i]);
  if (t == CUDA_R_16BF) return float(static_cast<const BFloat16*>(p)[i]);
  return static_cast<const float*>(p)[i];
}
void store(void* p, cudaDataType t, size_t i, float v) {
  if (t == CUDA_R_16F) static_cast<Float16*>(p)[i] = Float16(v);
  else if (t == CUDA_R_16BF) static_cast<BFloat16*>(p)[i] = BFloat16(v);
  else static_cast<float*>(p)[i] = v;
}

}  // namespace

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t* h) {
  *h = new cublasContext;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasDestroy(cublasHandle_t h) {
  delete h;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetStream(cublasHandle_t h, cudaStream_t stream) {
  h->stream = stream;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetMathMode(cublasHandle_t h, cublasMath_t math) {
  h->math = math;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasSetWorkspace(cublasHandle_t, void* workspace, size_t bytes) {
  return ptrain::simt::on_device(workspace, bytes) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
const char* cublasGetStatusString(cublasStatus_t s) {
  switch (s) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_EXECUTION_FAILED: return "CUBLAS_STATUS_EXECUTION_FAILED";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
  }
  return "a status that the stand-in does not know";
}

cublasStatus_t cublasGemmEx(cublasHandle_t h, cublasOperation_t a_op, cublasOperation_t b_op, int m, int n, int k, const void* alpha_at,
                            const void* A, cudaDataType a_type, int lda, const void* B, cudaDataType b_type, int ldb, const void* beta_at,
                            void* C, cudaDataType c_type, int ldc, cublasComputeType_t, cublasGemmAlgo_t) {
  if (!h) return CUBLAS_STATUS_NOT_INITIALIZED;
  const bool ta = a_op == CUBLAS_OP_T, tb = b_op == CUBLAS_OP_T;
  if (m < 0 || n < 0 || k < 0 || lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return CUBLAS_STATUS_INVALID_VALUE;
  if (a_type != b_type || (c_type != a_type && c_type != CUDA_R_32F)) return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto extent = [](int ld, int rows, int columns) { return columns == 0 ? 0 : size_t(ld) * size_t(columns - 1) + size_t(rows); };
  if (!ptrain::simt::on_device(A, size_of(a_type) * extent(lda, ta ? k : m, ta ? m : k)) ||
      !ptrain::simt::on_device(B, size_of(b_type) * extent(ldb, tb ? n : k, tb ? k : n)) ||
      !ptrain::simt::on_device(C, size_of(c_type) * extent(ldc, m, n)))
    return CUBLAS_STATUS_EXECUTION_FAILED;
  const float alpha = *static_cast<const float*>(alpha_at), beta = *static_cast<const float*>(beta_at);
  ptrain::simt::enqueue(h->stream, [=] {
    // Both operands as float, k innermost.
    std::vector<float> a(size_t(m) * size_t(k)), b(size_t(n) * size_t(k));
    for (int i = 0; i < m; ++i)
      for (int p = 0; p < k; ++p) a[size_t(i) * size_t(k) + size_t(p)] = load(A, a_type, ta ? size_t(i) * size_t(lda) + size_t(p) : size_t(p) * size_t(lda) + size_t(i));
    for (int j = 0; j < n; ++j)
      for (int p = 0; p < k; ++p) b[size_t(j) * size_t(k) + size_t(p)] = load(B, b_type, tb ? size_t(p) * size_t(ldb) + size_t(j) : size_t(j) * size_t(ldb) + size_t(p));
    for (int j = 0; j < n; ++j)
      for (int i = 0; i < m; ++i) {
        const float *x = &a[size_t(i) * size_t(k)], *y = &b[size_t(j) * size_t(k)];
        float sum = 0;
        for (int p = 0; p < k; ++p) sum += x[p] * y[p];
        const size_t at = size_t(j) * size_t(ldc) + size_t(i);
        store(C, c_type, at, alpha * sum + (beta != 0 ? beta * load(C, c_type, at) : 0));  // with beta = 0 C may hold anything
      }
  });
  return CUBLAS_STATUS_SUCCESS;
}

}  // extern "C"
