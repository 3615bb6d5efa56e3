// Operations of layers that our own kernels compute: depthwise convolutions, biases, batch norm, pools.
#include "kernels/cuda/cuda.hpp"
#include "kernels/cuda/kernels.hpp"

namespace ptrain::cuda {

void CudaBackend::do_depthwise_forward(Exec& e, const DepthwiseShape& d, Buffer x, Buffer w, Buffer y) {
  run(e, "depthwise_forward", {y}, [&](cudaStream_t s) { cuda::depthwise_forward(d, Act::none, x, w, {}, {}, y, s); });
}
void CudaBackend::do_depthwise_backward_data(Exec& e, const DepthwiseShape& d, Buffer dy, Buffer w, Into dx) {
  run(e, "depthwise_backward_data", {dx.buffer}, [&](cudaStream_t s) { cuda::depthwise_backward_data(d, dy, w, dx, s); });
}
void CudaBackend::do_depthwise_backward_filter(Exec& e, const DepthwiseShape& d, Buffer x, Buffer dy, Into dw) {
  run(e, "depthwise_backward_filter", {dw.buffer}, [&](cudaStream_t s) { cuda::depthwise_backward_filter(d, x, dy, dw, e, s); });
}

void CudaBackend::do_bias_act_forward(Exec& e, RowShape r, Act act, Buffer x, Buffer b, Buffer y) {
  run(e, "bias_act_forward", {y}, [&](cudaStream_t s) { bias_act(r, act, x, b, {}, y, s); });
}
void CudaBackend::do_bias_backward(Exec& e, RowShape r, Buffer dy, Into db) {
  run(e, "bias_backward", {db.buffer}, [&](cudaStream_t s) { cuda::bias_backward(r, dy, db, e, s); });
}

void CudaBackend::do_norm_train_forward(Exec& e, const NormShape& n, const NormTrain& t) {
  run(e, "norm_train_forward", {t.mean, t.inv_std, t.y}, [&](cudaStream_t s) { cuda::norm_train_forward(n, t, e, s); });
}
void CudaBackend::do_norm_apply(Exec& e, const NormShape& n, const NormApply& t) {
  run(e, "norm_apply", {t.y}, [&](cudaStream_t s) { cuda::norm_apply(n, t.x, t.gamma, t.beta, t.mean, t.inv_std, {}, t.y, s); });
}
void CudaBackend::do_norm_infer_forward(Exec& e, const NormShape& n, const NormInfer& t) {
  run(e, "norm_infer_forward", {t.y}, [&](cudaStream_t s) { cuda::norm_infer_forward(n, t, s); });
}
void CudaBackend::do_norm_train_backward(Exec& e, const NormShape& n, const NormBackward& t) {
  run(e, "norm_train_backward", {t.dx.buffer, t.dgamma.buffer, t.dbeta.buffer},
      [&](cudaStream_t s) { cuda::norm_train_backward(n, t, e, s); });
}
void CudaBackend::do_norm_infer_backward(Exec& e, const NormShape& n, const NormBackward& t) {
  run(e, "norm_infer_backward", {t.dx.buffer, t.dgamma.buffer, t.dbeta.buffer},
      [&](cudaStream_t s) { cuda::norm_infer_backward(n, t, e, s); });
}

void CudaBackend::do_max_pool_forward(Exec& e, const PoolShape& p, Buffer x, Buffer y, Buffer argmax, Act x_act) {
  run(e, "max_pool_forward", {y}, [&](cudaStream_t s) { cuda::max_pool_forward(p, x, y, argmax, x_act, s); });
}
void CudaBackend::do_max_pool_backward(Exec& e, const PoolShape& p, Buffer argmax, Buffer dy, Into dx) {
  run(e, "max_pool_backward", {dx.buffer}, [&](cudaStream_t s) { cuda::max_pool_backward(p, argmax, dy, dx, s); });
}
void CudaBackend::do_avg_pool_forward(Exec& e, const PoolShape& p, Buffer x, Buffer y) {
  run(e, "avg_pool_forward", {y}, [&](cudaStream_t s) { cuda::avg_pool_forward(p, x, y, s); });
}
void CudaBackend::do_avg_pool_backward(Exec& e, const PoolShape& p, Buffer dy, Into dx) {
  run(e, "avg_pool_backward", {dx.buffer}, [&](cudaStream_t s) { cuda::avg_pool_backward(p, dy, dx, s); });
}
void CudaBackend::do_global_avg_pool_forward(Exec& e, int64_t n, RowShape image, Buffer x, Buffer y) {
  run(e, "global_avg_pool_forward", {y}, [&](cudaStream_t s) { cuda::global_avg_pool_forward(n, image, x, y, s); });
}
void CudaBackend::do_global_avg_pool_backward(Exec& e, int64_t n, RowShape image, Buffer dy, Into dx) {
  run(e, "global_avg_pool_backward", {dx.buffer}, [&](cudaStream_t s) { cuda::global_avg_pool_backward(n, image, dy, dx, s); });
}

}  // namespace ptrain::cuda
