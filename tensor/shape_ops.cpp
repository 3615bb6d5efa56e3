#include "tensor/ops.hpp"

namespace ptrain {

Tensor zero_pad(Context& c, const Tensor& x, Padding p) {
  c.same_device("zero_pad", x);
  REQUIRE_THAT(x.shape().rank() == 4, "zero_pad: input ", str(x.shape()), " is not NHWC");
  const PadShape s{
      .n = x.dim(0), .h = x.dim(1), .w = x.dim(2), .c = x.dim(3), .top = p.top, .bottom = p.bottom, .left = p.left, .right = p.right};
  Tensor y = c.tensor({s.n, s.h + s.top + s.bottom, s.w + s.left + s.right, s.c}, x.dtype());
  c.backend.zero_pad_forward(c.exec, s, x.buffer(), y.buffer());
  c.tape.record({x}, y,
                [s, x = Ref(x)](Context& b, const Tensor& dy) { b.backend.zero_pad_backward(b.exec, s, dy.buffer(), b.tape.into(b, x)); });
  return y;
}

Tensor concat_channels(Context& c, const std::vector<Tensor>& xs) {
  REQUIRE_THAT(!xs.empty(), "concat_channels: nothing to join");
  const int64_t rows = row_shape(xs[0]).rows;
  int64_t width = 0;
  for (const Tensor& x : xs) {
    c.same_device("concat_channels", x);
    REQUIRE_THAT(x.shape().rank() == 4 && x.dim(0) == xs[0].dim(0) && x.dim(1) == xs[0].dim(1) && x.dim(2) == xs[0].dim(2),
                 "concat_channels: ", str(x.shape()), " beside ", str(xs[0].shape()));
    width += x.dim(3);
  }
  Tensor y = c.tensor({xs[0].dim(0), xs[0].dim(1), xs[0].dim(2), width}, xs[0].dtype());
  int64_t first = 0;
  for (const Tensor& x : xs) {
    c.backend.copy_channels(c.exec, {.rows = rows, .count = x.dim(3), .from_width = x.dim(3), .to_width = width, .to = first}, x.buffer(),
                            {y.buffer()});
    first += x.dim(3);
  }
  c.tape.record(xs, y, [parts = std::vector<Ref>(xs.begin(), xs.end()), rows, width](Context& b, const Tensor& dy) {
    int64_t from = 0;
    for (const Ref& x : parts) {
      const int64_t channels = x.shape[3];
      if (const Into dx = b.tape.into(b, x))
        b.backend.copy_channels(b.exec, {.rows = rows, .count = channels, .from_width = width, .from = from, .to_width = channels},
                                dy.buffer(), dx);
      from += channels;
    }
  });
  return y;
}

}  // namespace ptrain
