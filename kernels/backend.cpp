// What each library with a backend in it has a copy of: the table of Backend's virtual functions belongs to the file with the first of them
// that has a body outside the class.
#include "kernels/backend.hpp"

namespace ptrain {

// Of backends that record nothing.
std::unique_ptr<Recording> Backend::do_record(Exec&, const std::function<void()>&) {
  fail(ErrorKind::failed, "record: ", name(), " cannot record");
}
void Backend::do_replay(Exec&, const Recording&) { fail(ErrorKind::failed, "replay: ", name(), " cannot record"); }

void Backend::do_conv_norm_infer(Exec& e, const ConvShape& s, const NormShape& norm, Buffer x, Buffer w, Buffer bias, const NormInfer& t) {
  do_conv_forward(e, s, x, w, t.y);
  finish_conv_norm(e, norm, bias, t);
}

void Backend::do_depthwise_norm_infer(Exec& e, const DepthwiseShape& s, const NormShape& norm, Buffer x, Buffer w, Buffer bias,
                                      const NormInfer& t) {
  do_depthwise_forward(e, s, x, w, t.y);
  finish_conv_norm(e, norm, bias, t);
}

void Backend::finish_conv_norm(Exec& e, const NormShape& norm, Buffer bias, NormInfer t) {
  if (bias) do_bias_act_forward(e, {norm.rows, norm.c}, Act::none, t.y, bias, t.y);
  t.x = t.y;
  do_norm_infer_forward(e, norm, t);
}

void Backend::do_inverted_residual(Exec& e, const InvertedResidual& r, Buffer x, Buffer residual, Buffer y) {
  const bool expands = r.expand.weights != nullptr;
  if (expands) do_conv_bn_act(e, r.expand.f, x, *r.expand.weights, {}, r.wide);
  do_depthwise_bn_act(e, r.depthwise, expands ? r.wide : x, *r.depthwise_weights, {}, r.deep);
  do_conv_bn_act(e, r.project.f, r.deep, *r.project.weights, residual, y);
}

}  // namespace ptrain
