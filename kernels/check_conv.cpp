// The checked public face of Backend: convolutions, dense layers, batch normalisation.
#include "kernels/check.hpp"
#include "kernels/profile.hpp"

namespace ptrain {
namespace {

template <class Shape>
void check_shape(const char* op, const Shape& s) {
  REQUIRE_THAT(s.n > 0 && s.h > 0 && s.w > 0 && s.c > 0 && s.r > 0 && s.s > 0 && s.stride > 0 && s.pad_h >= 0 && s.pad_w >= 0 &&
                   s.more_h >= 0 && s.more_w >= 0 && s.p() > 0 && s.q() > 0,
               op, ": bad shape: input ", s.n, "x", s.h, "x", s.w, "x", s.c, ", window ", s.r, "x", s.s, ", stride ", s.stride,
               ", padding ", s.pad_h, ",", s.pad_w, " + ", s.more_h, ",", s.more_w);
  REQUIRE_THAT(s.pad_h + s.more_h < s.r && s.pad_w + s.more_w < s.s, op, ": the padding ", s.pad_h, ",", s.pad_w, " + ", s.more_h, ",",
               s.more_w, " gives a window of ", s.r, "x", s.s, " nothing but zeros to see");
}

int64_t channels_out(const ConvShape& s) { return s.k; }
int64_t channels_out(const DepthwiseShape& s) { return s.c; }

template <class Shape>
void check_forward(const char* op, const Shape& s, Buffer x, Buffer w, Buffer y) {
  check_shape(op, s);
  Check(op).floating("x", x, s.x_size()).is("w", w, x.dtype, s.w_size()).is("y", y, x.dtype, s.y_size());
}

template <class Shape>
void check_backward_data(const char* op, const Shape& s, Buffer dy, Buffer w, Into dx) {
  check_shape(op, s);
  Check(op).floating("dy", dy, s.y_size()).is("w", w, dy.dtype, s.w_size()).is("dx", dx.buffer, dy.dtype, s.x_size());
}

template <class Shape>
void check_backward_filter(const char* op, const Shape& s, Buffer x, Buffer dy, Into dw) {
  check_shape(op, s);
  Check(op).floating("x", x, s.x_size()).is("dy", dy, x.dtype, s.y_size()).filter("dw", dw.buffer, x.dtype, s.w_size());
}

template <class Shape>
void check_pack(const char* op, const Fused<Shape>& f, Buffer w, Buffer scale, Buffer shift) {
  check_shape(op, f.conv);
  const int64_t k = channels_out(f.conv);
  Check(op).floating("w", w, f.conv.w_size()).is("scale", scale, wide(w.dtype), k).is("shift", shift, wide(w.dtype), k);
}

template <class Shape>
void check_fused(const char* op, const Fused<Shape>& f, Buffer x, Buffer residual, Buffer y) {
  check_shape(op, f.conv);
  Check(op).floating("x", x, f.conv.x_size()).is("y", y, x.dtype, f.conv.y_size());
  if (f.residual) Check(op).is("residual", residual, x.dtype, f.conv.y_size());
}

void check_norm_parameters(const char* op, DType p, int64_t c, const NormInfer& t) {
  Check(op).optional("gamma", t.gamma, p, c).is("beta", t.beta, p, c).is("mean", t.mean, p, c).is("variance", t.variance, p, c);
}

// Checks a convolution with a batch norm behind it; the shape of the latter.
template <class Shape>
NormShape check_conv_norm(const char* op, const Shape& s, Act act, double eps, Buffer x, Buffer w, Buffer bias, const NormInfer& t) {
  check_forward(op, s, x, w, t.y);
  const int64_t c = channels_out(s);
  Check(op).optional("bias", bias, wide(x.dtype), c);
  check_norm_parameters(op, wide(x.dtype), c, t);
  return {.rows = s.y_size() / c, .c = c, .eps = eps, .act = act};
}

void check_norm_backward(const char* op, const NormShape& s, const NormBackward& t) {
  const DType p = wide(t.dy.dtype);
  Check(op)
      .floating("dy", t.dy, s.size())
      .optional("x", t.x, t.dy.dtype, s.size())
      .optional("gamma", t.gamma, p, s.c)
      .is("mean", t.mean, p, s.c)
      .optional("dx", t.dx.buffer, t.dy.dtype, s.size())
      .optional("dgamma", t.dgamma.buffer, p, s.c)
      .optional("dbeta", t.dbeta.buffer, p, s.c);
}

}  // namespace

void Backend::conv_forward(Exec& e, const ConvShape& s, Buffer x, Buffer w, Buffer y) {
  check_forward("conv_forward", s, x, w, y);
  const OpClock clock(e, "conv_forward");
  do_conv_forward(e, s, x, w, y);
}

void Backend::conv_backward_data(Exec& e, const ConvShape& s, Buffer dy, Buffer w, Into dx) {
  check_backward_data("conv_backward_data", s, dy, w, dx);
  const OpClock clock(e, "conv_backward_data");
  do_conv_backward_data(e, s, dy, w, dx);
}

void Backend::conv_backward_filter(Exec& e, const ConvShape& s, Buffer x, Buffer dy, Into dw) {
  check_backward_filter("conv_backward_filter", s, x, dy, dw);
  const OpClock clock(e, "conv_backward_filter");
  do_conv_backward_filter(e, s, x, dy, dw);
}

void Backend::depthwise_forward(Exec& e, const DepthwiseShape& s, Buffer x, Buffer w, Buffer y) {
  check_forward("depthwise_forward", s, x, w, y);
  const OpClock clock(e, "depthwise_forward");
  do_depthwise_forward(e, s, x, w, y);
}

void Backend::depthwise_backward_data(Exec& e, const DepthwiseShape& s, Buffer dy, Buffer w, Into dx) {
  check_backward_data("depthwise_backward_data", s, dy, w, dx);
  const OpClock clock(e, "depthwise_backward_data");
  do_depthwise_backward_data(e, s, dy, w, dx);
}

void Backend::depthwise_backward_filter(Exec& e, const DepthwiseShape& s, Buffer x, Buffer dy, Into dw) {
  check_backward_filter("depthwise_backward_filter", s, x, dy, dw);
  const OpClock clock(e, "depthwise_backward_filter");
  do_depthwise_backward_filter(e, s, x, dy, dw);
}

void Backend::conv_norm_infer(Exec& e, const ConvShape& s, Act act, double eps, Buffer x, Buffer w, Buffer bias, const NormInfer& t) {
  const NormShape norm = check_conv_norm("conv_norm_infer", s, act, eps, x, w, bias, t);
  const OpClock clock(e, "conv_norm_infer");
  do_conv_norm_infer(e, s, norm, x, w, bias, t);
}

void Backend::depthwise_norm_infer(Exec& e, const DepthwiseShape& s, Act act, double eps, Buffer x, Buffer w, Buffer bias,
                                   const NormInfer& t) {
  const NormShape norm = check_conv_norm("depthwise_norm_infer", s, act, eps, x, w, bias, t);
  const OpClock clock(e, "depthwise_norm_infer");
  do_depthwise_norm_infer(e, s, norm, x, w, bias, t);
}

std::shared_ptr<const PackedWeights> Backend::pack_conv(Exec& e, const Fused<ConvShape>& f, Buffer w, Buffer scale, Buffer shift) {
  check_pack("pack_conv", f, w, scale, shift);
  const OpClock clock(e, "pack_conv");
  return do_pack_conv(e, f, w, scale, shift);
}

std::shared_ptr<const PackedWeights> Backend::pack_depthwise(Exec& e, const Fused<DepthwiseShape>& f, Buffer w, Buffer scale,
                                                             Buffer shift) {
  check_pack("pack_depthwise", f, w, scale, shift);
  const OpClock clock(e, "pack_depthwise");
  return do_pack_depthwise(e, f, w, scale, shift);
}

void Backend::conv_bn_act(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedWeights& w, Buffer residual, Buffer y) {
  check_fused("conv_bn_act", f, x, residual, y);
  const OpClock clock(e, "conv_bn_act");
  do_conv_bn_act(e, f, x, w, residual, y);
}

void Backend::depthwise_bn_act(Exec& e, const Fused<DepthwiseShape>& f, Buffer x, const PackedWeights& w, Buffer residual, Buffer y) {
  check_fused("depthwise_bn_act", f, x, residual, y);
  const OpClock clock(e, "depthwise_bn_act");
  do_depthwise_bn_act(e, f, x, w, residual, y);
}

void Backend::inverted_residual(Exec& e, const InvertedResidual& r, Buffer x, Buffer residual, Buffer y) {
  const bool expands = r.expand.weights != nullptr;
  if (expands) check_fused("inverted_residual", r.expand.f, x, {}, r.wide);
  check_fused("inverted_residual", r.depthwise, expands ? r.wide : x, {}, r.deep);
  check_fused("inverted_residual", r.project.f, r.deep, residual, y);
  const OpClock clock(e, "inverted_residual");
  do_inverted_residual(e, r, x, residual, y);
}

void Backend::dense_forward(Exec& e, const DenseShape& s, Buffer x, Buffer w, Buffer y) {
  Check("dense_forward").floating("x", x, s.m * s.c).is("w", w, x.dtype, s.c * s.k).is("y", y, x.dtype, s.m * s.k);
  const OpClock clock(e, "dense_forward");
  do_dense_forward(e, s, x, w, y);
}

void Backend::dense_backward_data(Exec& e, const DenseShape& s, Buffer dy, Buffer w, Into dx) {
  Check("dense_backward_data").floating("dy", dy, s.m * s.k).is("w", w, dy.dtype, s.c * s.k).is("dx", dx.buffer, dy.dtype, s.m * s.c);
  const OpClock clock(e, "dense_backward_data");
  do_dense_backward_data(e, s, dy, w, dx);
}

void Backend::dense_backward_filter(Exec& e, const DenseShape& s, Buffer x, Buffer dy, Into dw) {
  Check("dense_backward_filter").floating("x", x, s.m * s.c).is("dy", dy, x.dtype, s.m * s.k).filter("dw", dw.buffer, x.dtype, s.c * s.k);
  const OpClock clock(e, "dense_backward_filter");
  do_dense_backward_filter(e, s, x, dy, dw);
}

void Backend::bias_act_forward(Exec& e, RowShape s, Act act, Buffer x, Buffer b, Buffer y) {
  Check("bias_act_forward").floating("x", x, s.size()).is("b", b, wide(x.dtype), s.c).is("y", y, x.dtype, s.size());
  const OpClock clock(e, "bias_act_forward");
  do_bias_act_forward(e, s, act, x, b, y);
}

void Backend::bias_backward(Exec& e, RowShape s, Buffer dy, Into db) {
  Check("bias_backward").floating("dy", dy, s.size()).is("db", db.buffer, wide(dy.dtype), s.c);
  const OpClock clock(e, "bias_backward");
  do_bias_backward(e, s, dy, db);
}

void Backend::norm_train_forward(Exec& e, const NormShape& s, const NormTrain& t) {
  const DType p = wide(t.x.dtype);
  Check("norm_train_forward")
      .floating("x", t.x, s.size())
      .is("y", t.y, t.x.dtype, s.size())
      .optional("gamma", t.gamma, p, s.c)
      .is("beta", t.beta, p, s.c)
      .is("moving_mean", t.moving_mean, p, s.c)
      .is("moving_variance", t.moving_variance, p, s.c)
      .is("mean", t.mean, p, s.c)
      .is("inv_std", t.inv_std, p, s.c)
      .that(s.rows > 0, "no rows");
  const OpClock clock(e, "norm_train_forward");
  do_norm_train_forward(e, s, t);
}

void Backend::norm_infer_forward(Exec& e, const NormShape& s, const NormInfer& t) {
  Check("norm_infer_forward").floating("x", t.x, s.size()).is("y", t.y, t.x.dtype, s.size());
  check_norm_parameters("norm_infer_forward", wide(t.x.dtype), s.c, t);
  const OpClock clock(e, "norm_infer_forward");
  do_norm_infer_forward(e, s, t);
}

void Backend::norm_apply(Exec& e, const NormShape& s, const NormApply& t) {
  const DType p = wide(t.x.dtype);
  Check("norm_apply")
      .floating("x", t.x, s.size())
      .is("y", t.y, t.x.dtype, s.size())
      .optional("gamma", t.gamma, p, s.c)
      .is("beta", t.beta, p, s.c)
      .is("mean", t.mean, p, s.c)
      .is("inv_std", t.inv_std, p, s.c);
  const OpClock clock(e, "norm_apply");
  do_norm_apply(e, s, t);
}

void Backend::norm_train_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  check_norm_backward("norm_train_backward", s, t);
  const Check check("norm_train_backward");
  check.is("x", t.x, t.dy.dtype, s.size()).is("inv_std", t.inv_std, wide(t.dy.dtype), s.c);
  if (s.act != Act::none) check.is("beta", t.beta, wide(t.dy.dtype), s.c);
  const OpClock clock(e, "norm_train_backward");
  do_norm_train_backward(e, s, t);
}

void Backend::norm_infer_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  check_norm_backward("norm_infer_backward", s, t);
  const Check check("norm_infer_backward");
  check.is("variance", t.variance, wide(t.dy.dtype), s.c);
  if (s.act != Act::none) check.is("y", t.y, t.dy.dtype, s.size());
  if (t.dgamma) check.is("x", t.x, t.dy.dtype, s.size());
  const OpClock clock(e, "norm_infer_backward");
  do_norm_infer_backward(e, s, t);
}

}  // namespace ptrain
