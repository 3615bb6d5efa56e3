#include "tensor/ops.hpp"

namespace ptrain {

namespace {

// What a window does to an image, for convolutions of both kinds.
template <class S>
S shape_of(const char* op, const Tensor& x, const Shape& w, ConvWindow o) {
  S s{};
  s.n = x.dim(0), s.h = x.dim(1), s.w = x.dim(2), s.c = x.dim(3), s.r = w[0], s.s = w[1];
  s.stride = o.stride, s.pad_h = o.pad_h, s.pad_w = o.pad_w, s.more_h = o.more_h, s.more_w = o.more_w;
  REQUIRE_THAT(s.p() > 0 && s.q() > 0, op, ": input ", str(x.shape()), " is smaller than the kernel ", str(w));
  return s;
}

}  // namespace

ConvShape conv_shape(const Tensor& x, const Shape& w, ConvWindow o) {
  REQUIRE_THAT(x.shape().rank() == 4 && w.rank() == 4 && x.dim(3) == w[2], "conv: input ", str(x.shape()), " and kernel ", str(w),
               " do not fit: NHWC and HWIO are needed");
  ConvShape s = shape_of<ConvShape>("conv", x, w, o);
  s.k = w[3];
  return s;
}

DepthwiseShape depthwise_shape(const Tensor& x, const Shape& w, ConvWindow o) {
  REQUIRE_THAT(x.shape().rank() == 4 && w.rank() == 4 && x.dim(3) == w[2] && w[3] == 1, "depthwise_conv: input ", str(x.shape()),
               " and kernel ", str(w), " do not fit: NHWC and HWC1 are needed");
  return shape_of<DepthwiseShape>("depthwise_conv", x, w, o);
}

RowShape row_shape(const Tensor& x) {
  const int64_t c = x.dim(x.shape().rank() - 1);
  return {x.size() / std::max<int64_t>(c, 1), c};
}

Tensor conv(Context& c, const Tensor& x, const Tensor& w, ConvWindow o) {
  c.same_device("conv", x, w);
  const ConvShape s = conv_shape(x, w.shape(), o);
  Tensor y = c.tensor({s.n, s.p(), s.q(), s.k}, x.dtype());
  c.backend.conv_forward(c.exec, s, x.buffer(), w.buffer(), y.buffer());
  c.tape.record({x, w}, y, [s, saved = c.tape.save(x), x = Ref(x), w](Context& b, const Tensor& dy) {
    if (const Into dw = b.tape.into(b, w)) b.backend.conv_backward_filter(b.exec, s, saved.get(b).buffer(), dy.buffer(), dw);
    if (const Into dx = b.tape.into(b, x)) b.backend.conv_backward_data(b.exec, s, dy.buffer(), w.buffer(), dx);
  });
  return y;
}

Tensor depthwise_conv(Context& c, const Tensor& x, const Tensor& w, ConvWindow o) {
  c.same_device("depthwise_conv", x, w);
  const DepthwiseShape s = depthwise_shape(x, w.shape(), o);
  Tensor y = c.tensor({s.n, s.p(), s.q(), s.c}, x.dtype());
  c.backend.depthwise_forward(c.exec, s, x.buffer(), w.buffer(), y.buffer());
  c.tape.record({x, w}, y, [s, saved = c.tape.save(x), x = Ref(x), w](Context& b, const Tensor& dy) {
    if (const Into dw = b.tape.into(b, w)) b.backend.depthwise_backward_filter(b.exec, s, saved.get(b).buffer(), dy.buffer(), dw);
    if (const Into dx = b.tape.into(b, x)) b.backend.depthwise_backward_data(b.exec, s, dy.buffer(), w.buffer(), dx);
  });
  return y;
}

}  // namespace ptrain
