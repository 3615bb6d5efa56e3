// Operations that are one call of a launcher: element by element, moving, losses, optimizers, images. And PTRAIN_DEBUG=3.
#include <cmath>
#include <vector>

#include "kernels/cuda/cuda.hpp"
#include "kernels/cuda/kernels.hpp"

namespace ptrain::cuda {

void CudaBackend::do_act_forward(Exec& e, Act act, Buffer x, Buffer y) {
  run(e, "act_forward", {y}, [&](cudaStream_t s) { cuda::act_forward(act, x, y, s); });
}
void CudaBackend::do_act_backward(Exec& e, Act act, Buffer y, Buffer dy, Into dx) {
  run(e, "act_backward", {dx.buffer}, [&](cudaStream_t s) { cuda::act_backward(act, y, dy, dx, s); });
}
void CudaBackend::do_add_act(Exec& e, Act act, Buffer a, Buffer b, Buffer y) {
  run(e, "add_act", {y}, [&](cudaStream_t s) { cuda::add_act(act, a, b, y, s); });
}
void CudaBackend::do_add_scaled(Exec& e, double factor, Buffer x, Buffer y) {
  run(e, "add_scaled", {y}, [&](cudaStream_t s) { cuda::add_scaled(factor, x, y, s); });
}
void CudaBackend::do_scale_shift_act(Exec& e, const ScaleShiftShape& shape, Buffer x, Buffer scale, Buffer shift, Buffer y) {
  run(e, "scale_shift_act", {y}, [&](cudaStream_t s) { cuda::scale_shift_act(shape, x, scale, shift, y, s); });
}
void CudaBackend::do_dropout(Exec& e, const DropoutShape& d, Buffer x, Buffer samples, Buffer epoch, Into y) {
  run(e, "dropout", {y.buffer}, [&](cudaStream_t s) { cuda::dropout(d, x, samples, epoch, y, s); });
}
void CudaBackend::do_cast(Exec& e, Buffer x, Buffer y) {
  run(e, "cast", {y}, [&](cudaStream_t s) { cuda::cast(x, y, s); });
}
void CudaBackend::do_fill(Exec& e, double value, Buffer y) {
  run(e, "fill", {}, [&](cudaStream_t s) { cuda::fill(value, y, s); });
}
void CudaBackend::do_random_uniform(Exec& e, uint64_t seed, uint32_t layer, double low, double high, Buffer y) {
  run(e, "random_uniform", {y}, [&](cudaStream_t s) { cuda::random_uniform(seed, layer, low, high, y, s); });
}

void CudaBackend::do_zero_pad_forward(Exec& e, const PadShape& p, Buffer x, Buffer y) {
  run(e, "zero_pad_forward", {y}, [&](cudaStream_t s) { cuda::zero_pad_forward(p, x, y, s); });
}
void CudaBackend::do_zero_pad_backward(Exec& e, const PadShape& p, Buffer dy, Into dx) {
  run(e, "zero_pad_backward", {dx.buffer}, [&](cudaStream_t s) { cuda::zero_pad_backward(p, dy, dx, s); });
}
void CudaBackend::do_copy_channels(Exec& e, const ChannelCopy& c, Buffer from, Into to) {
  run(e, "copy_channels", {}, [&](cudaStream_t s) { cuda::copy_channels(c, from, to, s); });
}

void CudaBackend::do_softmax(Exec& e, SoftmaxShape shape, Buffer logits, Buffer p) {
  run(e, "softmax", {p}, [&](cudaStream_t s) { cuda::softmax(shape, logits, p, s); });
}
void CudaBackend::do_softmax_cross_entropy_forward(Exec& e, SoftmaxShape shape, Buffer logits, Buffer labels, Buffer class_weights,
                                                   Buffer p, Buffer losses, Into loss) {
  run(e, "softmax_cross_entropy_forward", {p, losses, loss.buffer},
      [&](cudaStream_t s) { cuda::softmax_cross_entropy_forward(shape, logits, labels, class_weights, p, losses, loss, s); });
}
void CudaBackend::do_softmax_cross_entropy_backward(Exec& e, SoftmaxShape shape, Buffer p, Buffer labels, Buffer class_weights,
                                                    Buffer dloss, Into dlogits) {
  run(e, "softmax_cross_entropy_backward", {dlogits.buffer},
      [&](cudaStream_t s) { cuda::softmax_cross_entropy_backward(shape, p, labels, class_weights, dloss, dlogits, s); });
}
void CudaBackend::do_sum_squares(Exec& e, double factor, Buffer x, Into sum) {
  run(e, "sum_squares", {sum.buffer}, [&](cudaStream_t s) { cuda::sum_squares(factor, x, sum, e, s); });
}

// Non-finite gradients are what these three are there for: they are not reported.
void CudaBackend::do_optimizer_step(Exec& e, const OptimizerRule& rule, std::span<const OptimizerSlot> slots, const StepState& state) {
  run(e, "optimizer_step", {}, [&](cudaStream_t s) { cuda::optimizer_step(rule, slots, state, e, s); });
}
void CudaBackend::do_unscale(Exec& e, std::span<const OptimizerSlot> slots, Buffer scale, Buffer finite) {
  run(e, "unscale", {}, [&](cudaStream_t s) { cuda::unscale(slots, scale, finite, s); });
}
void CudaBackend::do_update_loss_scale(Exec& e, const LossScaleState& state, Buffer finite) {
  run(e, "update_loss_scale", {}, [&](cudaStream_t s) { cuda::update_loss_scale(state, finite, s); });
}
void CudaBackend::do_all_finite(Exec& e, Buffer x, Buffer finite) {
  run(e, "all_finite", {}, [&](cudaStream_t s) { cuda::all_finite(x, finite, s); });
}

void CudaBackend::do_augment(Exec& e, const AugmentShape& shape, std::span<const AugmentImage> images, Buffer x, const Preprocess& pre,
                             Buffer y) {
  not_recording(e, "the draws of an augmentation are uploaded");
  run(e, "augment", {y}, [&](cudaStream_t s) {
    auto* draws = static_cast<AugmentImage*>(static_cast<CudaExec&>(e).draws(int64_t(images.size_bytes())));
    upload_bytes(images.data(), draws, int64_t(images.size_bytes()));
    cuda::augment(shape, draws, x, pre, y, e, s);
  });
}
void CudaBackend::do_resize_bilinear(Exec& e, const ResizeShape& shape, Buffer x, Buffer y) {
  run(e, "resize_bilinear", {y}, [&](cudaStream_t s) { cuda::resize_bilinear(shape, x, y, s); });
}

void CudaBackend::inspect(std::initializer_list<Buffer> results) {
  GPU_CHECK(cudaStreamSynchronize(lane_.stream));
  for (const Buffer& b : results) {
    if (b.size == 0 || !is_floating(b.dtype)) continue;
    std::vector<char> bytes(size_t(b.bytes()));
    GPU_CHECK(cudaMemcpyAsync(bytes.data(), b.data, bytes.size(), cudaMemcpyDeviceToHost, lane_.stream));
    GPU_CHECK(cudaStreamSynchronize(lane_.stream));
    visit_floating(b.dtype, [&]<class T>(T) {
      const T* v = reinterpret_cast<const T*>(bytes.data());
      for (int64_t i = 0; i < b.size; ++i)
        if (!std::isfinite(double(v[i])))
          fail(ErrorKind::diverged, "PTRAIN_DEBUG=3: element ", i, " of a result of ", b.size, " elements is ", double(v[i]));
    });
  }
}

}  // namespace ptrain::cuda
