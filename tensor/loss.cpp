#include "kernels/check.hpp"
#include "tensor/ops.hpp"

namespace ptrain {

CrossEntropy softmax_cross_entropy(Context& c, const Tensor& logits, const Tensor& labels, const Tensor& class_weights) {
  c.same_device("softmax_cross_entropy", logits, labels, class_weights);
  REQUIRE_THAT(logits.shape().rank() == 2 && labels.shape() == Shape{logits.dim(0)} && class_weights.shape() == Shape{logits.dim(1)},
               "softmax_cross_entropy: logits ", str(logits.shape()), ", labels ", str(labels.shape()), " and class weights ",
               str(class_weights.shape()), " do not fit");
  const SoftmaxShape s{logits.dim(0), logits.dim(1)};
  const DType t = wide(logits.dtype());
  CrossEntropy out{c.tensor({1}, t), c.tensor(logits.shape(), t), c.tensor({s.rows}, t)};
  const Tensor p = out.probabilities;
  c.backend.softmax_cross_entropy_forward(c.exec, s, logits.buffer(), labels.buffer(), class_weights.buffer(), p.buffer(),
                                          out.losses.buffer(), {out.loss.buffer()});
  c.tape.record({logits}, out.loss, [s, logits, labels, class_weights, p](Context& b, const Tensor& dloss) {
    b.backend.softmax_cross_entropy_backward(b.exec, s, p.buffer(), labels.buffer(), class_weights.buffer(), dloss.buffer(),
                                             b.tape.into(b, logits));
  });
  return out;
}

Tensor softmax(Context& c, const Tensor& logits) {
  c.same_device("softmax", logits);
  const RowShape r = row_shape(logits);
  Tensor p = c.tensor(logits.shape(), wide(logits.dtype()));
  c.backend.softmax(c.exec, {r.rows, r.c}, logits.buffer(), p.buffer());
  return p;
}

}  // namespace ptrain
