// Depthwise convolution and its gradients against the reference.
#include "tests/kernels/cuda_sim.hpp"

using namespace ptrain;
using namespace ptrain::test;

namespace {

// The nets' windows (3×3, stride 1 and 2, Keras' uneven padding) on images beside the size of tiles, and windows that no net has.
const DepthwiseShape kShapes[] = {
    {.n = 1, .h = 1, .w = 1, .c = 1, .r = 1, .s = 1},
    {.n = 2, .h = 9, .w = 11, .c = 40, .pad_h = 1, .pad_w = 1},
    {.n = 1, .h = 8, .w = 8, .c = 64, .pad_h = 1, .pad_w = 1},
    {.n = 2, .h = 7, .w = 7, .c = 3, .pad_h = 1, .pad_w = 1},
    {.n = 1, .h = 18, .w = 10, .c = 72, .stride = 2, .more_h = 1, .more_w = 1},
    {.n = 2, .h = 17, .w = 9, .c = 33, .stride = 2, .pad_h = 1, .pad_w = 1},
    {.n = 1, .h = 5, .w = 6, .c = 8},
    {.n = 2, .h = 96, .w = 90, .c = 2, .pad_h = 1, .pad_w = 1},  // more tiles than partial sums
    {.n = 2, .h = 6, .w = 13, .c = 24, .r = 5, .s = 2, .pad_h = 2, .pad_w = 1},
    {.n = 1, .h = 20, .w = 19, .c = 5, .r = 7, .s = 7, .stride = 3, .pad_h = 3, .pad_w = 3},
    {.n = 1, .h = 11, .w = 9, .c = 16, .r = 3, .s = 3, .stride = 3, .more_w = 1},
};

}  // namespace

TEST_CASE("cuda: depthwise convolution and its gradients equal the reference") {
  in_each_schedule([](DType type, bool shift) {
    for (const DepthwiseShape& s : kShapes) {
      CAPTURE(s.h);
      CAPTURE(s.c);
      CAPTURE(s.r);
      CAPTURE(s.stride);
      Duel d(type, shift);
      const Both &x = d.input(numbers(1, s.x_size())), &w = d.input(numbers(2, s.w_size())), &dy = d.input(numbers(3, s.y_size())),
                 &y = d.output(s.y_size()), &offset = d.input(numbers(4, s.c), DType::float32), &residual = d.input(numbers(5, s.y_size()));
      d.ref.depthwise_forward(*d.ref_exec, s, x.here, w.here, y.here);
      cuda::depthwise_forward(s, Act::none, x.there, w.there, {}, {}, y.there, d.stream);
      d.same("y", y, s.r * s.s, 1);

      std::vector<double> ones(size_t(s.c), 1.0);
      const Both& scale = d.input(ones, DType::float32);
      for (const bool adds : {false, true}) {
        const Fused<DepthwiseShape> fused{s, adds ? Act::relu6 : Act::relu, adds};
        const Both& out = d.output(s.y_size());
        const auto packed = d.ref.pack_depthwise(*d.ref_exec, fused, w.here, scale.here, offset.here);
        d.ref.depthwise_bn_act(*d.ref_exec, fused, x.here, *packed, residual.here, out.here);
        cuda::depthwise_forward(s, fused.act, x.there, w.there, offset.there, adds ? residual.there : Buffer{}, out.there, d.stream);
        d.same("act(y + shift + residual)", out, s.r * s.s + 2, 1);
      }
      d.same_into("dx", s.x_size(), type, s.r * s.s, 1, [&](IntoBoth dx) {
        d.ref.depthwise_backward_data(*d.ref_exec, s, dy.here, w.here, dx.here);
        cuda::depthwise_backward_data(s, dy.there, w.there, dx.there, d.stream);
      });
      for (const DType to : {type, DType::float32})
        d.same_into("dw", s.w_size(), to, s.n * s.p() * s.q(), 1, [&](IntoBoth dw) {
          d.ref.depthwise_backward_filter(*d.ref_exec, s, x.here, dy.here, dw.here);
          cuda::depthwise_backward_filter(s, x.there, dy.there, dw.there, d.exec, d.stream);
        });
    }
  });
}

TEST_CASE("cuda: scale_channels multiplies columns") {
  in_each_schedule([](DType type, bool shift) {
    Duel d(type, shift);
    const Both &in = d.input(numbers(1, 9 * 33)), &scale = d.input(numbers(2, 33), DType::float32), &out = d.output(9 * 33);
    cuda::scale_channels(9, 33, in.there, scale.there, out.there, d.stream);
    std::vector<double> want = in.values;
    for (size_t i = 0; i < want.size(); ++i) want[i] *= scale.values[i % 33];
    const Tolerance t = d.both_rounded(1, 1, type);
    CHECK(difference(d.read(out), want, t.atol, t.rtol) == "");
  });
}
