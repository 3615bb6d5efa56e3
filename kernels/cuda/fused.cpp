// The frozen chain: y = act(scale · conv(x, w) + shift [+ residual]). The scale is folded into the weights once. Where cuDNN has a fast
// engine for all of it one plan computes it; else a convolution, and one kernel of ours for the rest.
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/prepared.hpp"

namespace ptrain::cuda {
namespace {

// Memory of the device for as long as the weights live; keeps the backend alive.
struct Packed final : PackedWeights {
  Packed(std::shared_ptr<CudaBackend> backend, DType type, int64_t weights, int64_t channels) : backend_(std::move(backend)) {
    Layout layout;
    const int64_t w_at = layout.add(weights * size_of(type)), shift_at = layout.add(channels * 4),
                  bias_at = layout.add(channels * size_of(type));
    bytes_ = layout.size();
    base_ = backend_->allocate(bytes_);
    w = part(base_, w_at, type, weights);
    shift = part(base_, shift_at, DType::float32, channels);
    bias = part(base_, bias_at, type, channels);
  }
  ~Packed() override { backend_->release(base_, bytes_); }
  Packed(const Packed&) = delete;
  Packed& operator=(const Packed&) = delete;

  Buffer w, shift, bias;  // bias: the shift in the type of the activations, as cuDNN's engines want it

 private:
  std::shared_ptr<CudaBackend> backend_;
  void* base_;
  int64_t bytes_;
};

}  // namespace

std::shared_ptr<const PackedWeights> CudaBackend::do_pack_conv(Exec& e, const Fused<ConvShape>& f, Buffer w, Buffer scale, Buffer shift) {
  std::shared_ptr<Packed> packed;
  run(e, "pack_conv", {}, [&](cudaStream_t stream) {
    packed = std::make_shared<Packed>(shared_from_this(), w.dtype, w.size, f.conv.k);
    transpose(f.conv.r * f.conv.s * f.conv.c, f.conv.k, w, scale, Into{packed->w}, stream);
    cuda::cast(shift, packed->shift, stream);
    cuda::cast(shift, packed->bias, stream);
  });
  return packed;
}

void CudaBackend::do_conv_bn_act(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedWeights& weights, Buffer residual, Buffer y) {
  run(e, "conv_bn_act", {y}, [&](cudaStream_t stream) {
    const Packed& packed = dynamic_cast<const Packed&>(weights);
    const ConvShape& s = f.conv;
    ConvKey key = conv_key(ConvKind::fused, s, x.dtype, {x, y, f.residual ? residual : x});
    key.act = f.act;
    key.residual = f.residual;
    const ConvPlan* all = plan(key);
    if (all) {
      void* workspace = e.scratch(std::max<int64_t>(all->workspace(), 256));
      execute(e, *all,
              {.x = x.data,
               .w = packed.w.data,
               .y = y.data,
               .bias = packed.bias.data,
               .residual = f.residual ? residual.data : nullptr,
               .workspace = workspace});
      return;
    }
    const Prepared p = prepare(conv_key(ConvKind::forward, s, x.dtype, {x, y}));
    Layout layout;
    const int64_t padded = layout.add(p.padded ? p.shape.x_size() * size_of(x.dtype) : 0), workspace = layout.add(p.plan->workspace());
    void* base = e.scratch(std::max<int64_t>(layout.size(), 256));
    if (p.padded) {
      const Buffer wide = part(base, padded, x.dtype, p.shape.x_size());
      cuda::zero_pad_forward(p.padding, x, wide, stream);
      x = wide;
    }
    execute(e, *p.plan, {.x = x.data, .w = packed.w.data, .y = y.data, .workspace = part(base, workspace, DType::uint8, 0).data});
    bias_act({s.n * s.p() * s.q(), s.k}, f.act, y, packed.shift, f.residual ? residual : Buffer{}, y, stream);
  });
}

std::shared_ptr<const PackedWeights> CudaBackend::do_pack_depthwise(Exec& e, const Fused<DepthwiseShape>& f, Buffer w, Buffer scale,
                                                                    Buffer shift) {
  std::shared_ptr<Packed> packed;
  run(e, "pack_depthwise", {}, [&](cudaStream_t stream) {
    packed = std::make_shared<Packed>(shared_from_this(), w.dtype, w.size, f.conv.c);
    scale_channels(f.conv.r * f.conv.s, f.conv.c, w, scale, packed->w, stream);
    cuda::cast(shift, packed->shift, stream);
  });
  return packed;
}

void CudaBackend::do_depthwise_bn_act(Exec& e, const Fused<DepthwiseShape>& f, Buffer x, const PackedWeights& weights, Buffer residual,
                                      Buffer y) {
  run(e, "depthwise_bn_act", {y}, [&](cudaStream_t stream) {
    const Packed& packed = dynamic_cast<const Packed&>(weights);
    cuda::depthwise_forward(f.conv, f.act, x, packed.w, packed.shift, f.residual ? residual : Buffer{}, y, stream);
  });
}

}  // namespace ptrain::cuda
