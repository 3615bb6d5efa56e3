// Convolutions by cuDNN. Our kernels are [r, s, c, k] (HWIO), cuDNN's fast engines want [k, r, s, c]: a transposition of r·s·c × k, small
// beside the convolution, goes before or after it.
#include "kernels/cuda/kernels.hpp"
#include "kernels/cuda/prepared.hpp"

namespace ptrain::cuda {

void CudaBackend::do_conv_forward(Exec& e, const ConvShape& s, Buffer x, Buffer w, Buffer y) {
  run(e, "conv_forward", {y}, [&](cudaStream_t stream) {
    const Prepared p = prepare(conv_key(ConvKind::forward, s, x.dtype, {x, y}));
    Layout layout;
    const int64_t krsc = layout.add(w.bytes()), padded = layout.add(p.padded ? p.shape.x_size() * size_of(x.dtype) : 0);
    const int64_t workspace = layout.add(p.plan->workspace());
    void* base = e.scratch(layout.size());
    const Buffer kernel = part(base, krsc, w.dtype, w.size);
    transpose(s.r * s.s * s.c, s.k, w, {}, Into{kernel}, stream);
    if (p.padded) {
      const Buffer wide = part(base, padded, x.dtype, p.shape.x_size());
      cuda::zero_pad_forward(p.padding, x, wide, stream);
      x = wide;
    }
    execute(e, *p.plan, {.x = x.data, .w = kernel.data, .y = y.data, .workspace = part(base, workspace, DType::uint8, 0).data});
  });
}

void CudaBackend::do_conv_backward_data(Exec& e, const ConvShape& s, Buffer dy, Buffer w, Into dx) {
  run(e, "conv_backward_data", {dx.buffer}, [&](cudaStream_t stream) {
    const Prepared p = prepare(conv_key(ConvKind::backward_data, s, dy.dtype, {dy, dx.buffer}));
    const bool aside = p.padded || dx.how == Accumulate::yes;  // the plan overwrites its result
    Layout layout;
    const int64_t krsc = layout.add(w.bytes()), result = layout.add(aside ? p.shape.x_size() * size_of(dy.dtype) : 0);
    const int64_t workspace = layout.add(p.plan->workspace());
    void* base = e.scratch(layout.size());
    const Buffer kernel = part(base, krsc, w.dtype, w.size), fresh = part(base, result, dy.dtype, p.shape.x_size());
    transpose(s.r * s.s * s.c, s.k, w, {}, Into{kernel}, stream);
    execute(e, *p.plan,
            {.x = aside ? fresh.data : dx.buffer.data,
             .w = kernel.data,
             .y = dy.data,
             .workspace = part(base, workspace, DType::uint8, 0).data});
    if (p.padded) cuda::zero_pad_backward(p.padding, fresh, dx, stream);
    else if (aside) cuda::add_scaled(1, fresh, dx.buffer, stream);
  });
}

// cuDNN sums in float32 and rounds to the type of x and dy; in the type of dw it is written by the transposition.
void CudaBackend::do_conv_backward_filter(Exec& e, const ConvShape& s, Buffer x, Buffer dy, Into dw) {
  run(e, "conv_backward_filter", {dw.buffer}, [&](cudaStream_t stream) {
    const Prepared p = prepare(conv_key(ConvKind::backward_filter, s, x.dtype, {x, dy}));
    Layout layout;
    const int64_t krsc = layout.add(dw.buffer.size * size_of(x.dtype)),
                  padded = layout.add(p.padded ? p.shape.x_size() * size_of(x.dtype) : 0);
    const int64_t workspace = layout.add(p.plan->workspace());
    void* base = e.scratch(layout.size());
    const Buffer kernel = part(base, krsc, x.dtype, dw.buffer.size);
    if (p.padded) {
      const Buffer wide = part(base, padded, x.dtype, p.shape.x_size());
      cuda::zero_pad_forward(p.padding, x, wide, stream);
      x = wide;
    }
    execute(e, *p.plan, {.x = x.data, .w = kernel.data, .y = dy.data, .workspace = part(base, workspace, DType::uint8, 0).data});
    transpose(s.k, s.r * s.s * s.c, kernel, {}, dw, stream);
  });
}

}  // namespace ptrain::cuda
