// defines: Handle: owns one object of the CUDA runtime, cuBLAS or cuDNN; GPU_CHECK for cuBLAS and cuDNN
#pragma once

#include <cublas_v2.h>
#include <cudnn.h>

#include <cstdio>
#include <utility>

#include "kernels/cuda/check.hpp"

namespace ptrain::cuda {

inline void check(cublasStatus_t s, const char* call, const char* file, int line) {
  if (s != CUBLAS_STATUS_SUCCESS) fail(ErrorKind::device, file, ":", line, ": ", call, " failed: ", cublasGetStatusString(s));
}
// cuDNN keeps a sentence about the last failure, which says far more than the status.
inline void check(cudnnStatus_t s, const char* call, const char* file, int line) {
  if (s == CUDNN_STATUS_SUCCESS) return;
  char detail[2048] = {};
  cudnnGetLastErrorString(detail, sizeof detail);
  fail(ErrorKind::device, file, ":", line, ": ", call, " failed: ", cudnnGetErrorString(s), detail[0] ? ": " : "", detail);
}

// Move-only. Create is called with the address of the object and `arguments`. The destructor reports, it never throws.
template <class H, auto Create, auto Destroy>
class Handle {
 public:
  template <class... A>
  explicit Handle(A... arguments) {
    check(Create(&h_, arguments...), "making an object of a GPU library", __FILE__, __LINE__);
  }
  Handle(Handle&& o) noexcept : h_(std::exchange(o.h_, nullptr)) {}
  Handle& operator=(Handle&& o) noexcept {
    std::swap(h_, o.h_);
    return *this;
  }
  ~Handle() {
    if (h_ && Destroy(h_) != decltype(Destroy(h_)){}) std::fputs("warning: an object of a GPU library was not freed\n", stderr);
  }
  operator H() const { return h_; }

 private:
  H h_ = nullptr;
};

using Stream = Handle<cudaStream_t, cudaStreamCreateWithFlags, cudaStreamDestroy>;  // Stream(cudaStreamNonBlocking)
using Event = Handle<cudaEvent_t, cudaEventCreateWithFlags, cudaEventDestroy>;      // Event(cudaEventDisableTiming)
using Cublas = Handle<cublasHandle_t, cublasCreate, cublasDestroy>;
using Cudnn = Handle<cudnnHandle_t, cudnnCreate, cudnnDestroy>;

}  // namespace ptrain::cuda
