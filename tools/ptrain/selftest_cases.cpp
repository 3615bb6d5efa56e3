// Every operation of the contract as a case that runs on any device.
#include "kernels/check.hpp"
#include "layers/formula.hpp"
#include "tools/ptrain/selftest.hpp"

namespace ptrain::cli {
namespace {

using Buffers = std::vector<Buffer>;

class Cases {
 public:
  Cases(DType type, bool large, int64_t batch) : t_(type), large_(large), batch_(batch) {}

  std::vector<OpCase> all() {
    convolutions();
    depthwise();
    fused();
    norms_of_convolutions();
    dense();
    norms();
    pointwise();
    moving();
    pools();
    losses();
    training();
    images();
    return std::move(cases_);
  }

 private:
  template <class F>
  OpCase& add(const char* name, int64_t macs, int64_t terms, F&& run) {
    return cases_.emplace_back(OpCase{.name = name, .args = {}, .run = run, .macs = macs, .terms = terms});
  }
  OpCase::Arg in(int64_t n, double low = -1, double high = 1) const { return {.type = t_, .size = n, .low = low, .high = high}; }
  OpCase::Arg wide_in(int64_t n, double low = -1, double high = 1) const { return {.type = wide(t_), .size = n, .low = low, .high = high}; }
  OpCase::Arg whole(DType t, int64_t n, double low, double high) const {
    return {.type = t, .size = n, .low = low, .high = high, .whole = true};
  }
  OpCase::Arg out(int64_t n) const { return {.type = t_, .size = n, .compared = true}; }
  OpCase::Arg wide_out(int64_t n, double low = -1, double high = 1) const {
    return {.type = wide(t_), .size = n, .low = low, .high = high, .compared = true};
  }

  ConvShape conv_shape() const {
    return large_ ? ConvShape{.n = batch_, .h = 28, .w = 28, .c = 128, .k = 128, .r = 3, .s = 3, .pad_h = 1, .pad_w = 1}
                  : ConvShape{.n = 2, .h = 9, .w = 7, .c = 16, .k = 24, .r = 3, .s = 3, .stride = 2, .more_h = 1, .more_w = 1};
  }
  DepthwiseShape depthwise_shape() const {
    return large_ ? DepthwiseShape{.n = batch_, .h = 56, .w = 56, .c = 144, .pad_h = 1, .pad_w = 1}
                  : DepthwiseShape{.n = 2, .h = 9, .w = 7, .c = 40, .stride = 2, .more_h = 1, .more_w = 1};
  }
  RowShape rows() const { return large_ ? RowShape{batch_ * 56 * 56, 64} : RowShape{67, 24}; }
  PoolShape pool_shape() const {
    return large_ ? PoolShape{.n = batch_, .h = 112, .w = 112, .c = 64, .window = 3, .stride = 2, .pad = 1}
                  : PoolShape{.n = 2, .h = 9, .w = 7, .c = 24, .window = 3, .stride = 2, .pad = 1};
  }

  void convolutions() {
    const ConvShape s = conv_shape();
    const int64_t window = s.r * s.s * s.c;
    add("conv_forward", s.macs(), window, [s](Backend& b, Exec& e, const Buffers& a) { b.conv_forward(e, s, a[0], a[1], a[2]); }).args = {
        in(s.x_size()), in(s.w_size()), out(s.y_size())};
    add("conv_backward_data", s.macs(), s.r * s.s * s.k, [s](Backend& b, Exec& e, const Buffers& a) {
      b.conv_backward_data(e, s, a[0], a[1], {a[2]});
    }).args = {in(s.y_size()), in(s.w_size()), out(s.x_size())};
    add("conv_backward_filter", s.macs(), s.n * s.p() * s.q(), [s](Backend& b, Exec& e, const Buffers& a) {
      b.conv_backward_filter(e, s, a[0], a[1], {a[2]});
    }).args = {in(s.x_size()), in(s.y_size()), out(s.w_size())};
  }
  void depthwise() {
    const DepthwiseShape s = depthwise_shape();
    add("depthwise_forward", s.macs(), 9, [s](Backend& b, Exec& e, const Buffers& a) {
      b.depthwise_forward(e, s, a[0], a[1], a[2]);
    }).args = {in(s.x_size()), in(s.w_size()), out(s.y_size())};
    add("depthwise_backward_data", s.macs(), 9, [s](Backend& b, Exec& e, const Buffers& a) {
      b.depthwise_backward_data(e, s, a[0], a[1], {a[2]});
    }).args = {in(s.y_size()), in(s.w_size()), out(s.x_size())};
    add("depthwise_backward_filter", s.macs(), s.n * s.p() * s.q(), [s](Backend& b, Exec& e, const Buffers& a) {
      b.depthwise_backward_filter(e, s, a[0], a[1], {a[2]});
    }).args = {in(s.x_size()), in(s.y_size()), wide_out(s.w_size())};
  }
  void fused() {
    const ConvShape s = conv_shape();
    for (const Act act : {Act::relu, Act::relu6}) {
      const Fused<ConvShape> f{s, act, true};
      OpCase& c = add(act == Act::relu ? "conv_bn_act relu" : "conv_bn_act relu6", s.macs(), s.r * s.s * s.c,
                      [f](Backend& b, Exec& e, const Buffers& a) {
                        const auto packed = b.pack_conv(e, f, a[1], a[2], a[3]);
                        b.conv_bn_act(e, f, a[0], *packed, a[4], a[5]);
                        e.synchronize();  // before the packed weights go away
                      });
      c.args = {in(s.x_size()), in(s.w_size()), wide_in(s.k, 0.5, 2), wide_in(s.k), in(s.y_size()), out(s.y_size())};
      c.size = 2, c.packed = true;
    }
    const DepthwiseShape d = depthwise_shape();
    const Fused<DepthwiseShape> f{d, Act::relu6, false};
    OpCase& c = add("depthwise_bn_act", d.macs(), 9, [f](Backend& b, Exec& e, const Buffers& a) {
      const auto packed = b.pack_depthwise(e, f, a[1], a[2], a[3]);
      b.depthwise_bn_act(e, f, a[0], *packed, {}, a[4]);
      e.synchronize();
    });
    c.args = {in(d.x_size()), in(d.w_size()), wide_in(d.c, 0.5, 2), wide_in(d.c), out(d.y_size())};
    c.size = 2, c.packed = true;
  }
  void norms_of_convolutions() {
    const ConvShape s = conv_shape();
    const DepthwiseShape d = depthwise_shape();
    const auto norm = [](const Buffers& a) {
      return NormInfer{.x = {}, .gamma = a[3], .beta = a[4], .mean = a[5], .variance = a[6], .y = a[7]};
    };
    const auto args = [this](int64_t x, int64_t w, int64_t c, int64_t y) {
      return std::vector{in(x), in(w), wide_in(c), wide_in(c), wide_in(c), wide_in(c), wide_in(c, 0.5, 2), out(y)};
    };
    add("conv_norm_infer", s.macs(), s.r * s.s * s.c, [=](Backend& b, Exec& e, const Buffers& a) {
      b.conv_norm_infer(e, s, Act::relu6, 1e-3, a[0], a[1], a[2], norm(a));
    }).args = args(s.x_size(), s.w_size(), s.k, s.y_size());
    cases_.back().size = 2;
    add("depthwise_norm_infer", d.macs(), 9, [=](Backend& b, Exec& e, const Buffers& a) {
      b.depthwise_norm_infer(e, d, Act::relu6, 1e-3, a[0], a[1], a[2], norm(a));
    }).args = args(d.x_size(), d.w_size(), d.c, d.y_size());
    cases_.back().size = 2;
  }
  void dense() {
    const DenseShape s = large_ ? DenseShape{1024, 1024, 1024} : DenseShape{7, 40, 24};
    add("dense_forward", s.macs(), s.c, [s](Backend& b, Exec& e, const Buffers& a) { b.dense_forward(e, s, a[0], a[1], a[2]); }).args = {
        in(s.m * s.c), in(s.c * s.k), out(s.m * s.k)};
    add("dense_backward_data", s.macs(), s.k, [s](Backend& b, Exec& e, const Buffers& a) {
      b.dense_backward_data(e, s, a[0], a[1], {a[2]});
    }).args = {in(s.m * s.k), in(s.c * s.k), out(s.m * s.c)};
    add("dense_backward_filter", s.macs(), s.m, [s](Backend& b, Exec& e, const Buffers& a) {
      b.dense_backward_filter(e, s, a[0], a[1], {a[2]});
    }).args = {in(s.m * s.c), in(s.m * s.k), wide_out(s.c * s.k)};
    const RowShape r = rows();
    add("bias_act_forward", 0, 2, [r](Backend& b, Exec& e, const Buffers& a) {
      b.bias_act_forward(e, r, Act::relu, a[0], a[1], a[2]);
    }).args = {in(r.size()), wide_in(r.c), out(r.size())};
    add("bias_backward", 0, r.rows, [r](Backend& b, Exec& e, const Buffers& a) { b.bias_backward(e, r, a[0], {a[1]}); }).args = {
        in(r.size()), wide_out(r.c)};
  }
  void norms() {
    const RowShape r = rows();
    const NormShape s{.rows = r.rows, .c = r.c, .eps = 1e-3, .act = Act::none};
    add("norm_train_forward", 0, r.rows, [s](Backend& b, Exec& e, const Buffers& a) {
      b.norm_train_forward(e, s,
                           {.x = a[0],
                            .gamma = a[1],
                            .beta = a[2],
                            .moving_mean = a[3],
                            .moving_variance = a[4],
                            .momentum = 0.9,
                            .mean = a[5],
                            .inv_std = a[6],
                            .y = a[7]});
    }).args = {in(r.size()), wide_in(r.c), wide_in(r.c), wide_out(r.c), wide_out(r.c, 0.5, 2), wide_out(r.c), wide_out(r.c), out(r.size())};
    cases_.back().size = 4;
    add("norm_infer_forward", 0, 4, [s](Backend& b, Exec& e, const Buffers& a) {
      b.norm_infer_forward(e, s, {.x = a[0], .gamma = a[1], .beta = a[2], .mean = a[3], .variance = a[4], .y = a[5]});
    }).args = {in(r.size()), wide_in(r.c), wide_in(r.c), wide_in(r.c), wide_in(r.c, 0.5, 2), out(r.size())};
    cases_.back().size = 4;
    add("norm_apply", 0, 4, [s](Backend& b, Exec& e, const Buffers& a) {
      b.norm_apply(e, s, {.x = a[0], .gamma = a[1], .beta = a[2], .mean = a[3], .inv_std = a[4], .y = a[5]});
    }).args = {in(r.size()), wide_in(r.c), wide_in(r.c), wide_in(r.c), wide_in(r.c, 0.5, 2), out(r.size())};
    cases_.back().size = 4;
    add("norm_train_backward", 0, r.rows, [s](Backend& b, Exec& e, const Buffers& a) {
      b.norm_train_backward(e, s,
                            {.x = a[0],
                             .y = {},
                             .dy = a[1],
                             .gamma = a[2],
                             .beta = {},
                             .mean = a[3],
                             .inv_std = a[4],
                             .variance = {},
                             .dx = {a[5]},
                             .dgamma = {a[6]},
                             .dbeta = {a[7]}});
    }).args = {in(r.size()),         in(r.size()),  wide_in(r.c),  wide_in(r.c, -0.1, 0.1),
               wide_in(r.c, 0.5, 2), out(r.size()), wide_out(r.c), wide_out(r.c)};
    cases_.back().size = 4;
    add("norm_infer_backward", 0, r.rows, [s](Backend& b, Exec& e, const Buffers& a) {
      b.norm_infer_backward(e, s,
                            {.x = a[0],
                             .y = {},
                             .dy = a[1],
                             .gamma = a[2],
                             .beta = {},
                             .mean = a[3],
                             .inv_std = {},
                             .variance = a[4],
                             .dx = {a[5]},
                             .dgamma = {a[6]},
                             .dbeta = {a[7]}});
    }).args = {in(r.size()),         in(r.size()),  wide_in(r.c),  wide_in(r.c, -0.1, 0.1),
               wide_in(r.c, 0.5, 2), out(r.size()), wide_out(r.c), wide_out(r.c)};
    cases_.back().size = 4;
  }
  void pointwise() {
    const RowShape r = rows();
    const int64_t n = r.size();
    add("act_forward", 0, 1, [](Backend& b, Exec& e, const Buffers& a) { b.act_forward(e, Act::relu6, a[0], a[1]); }).args = {in(n, -8, 8),
                                                                                                                              out(n)};
    add("act_backward", 0, 1, [](Backend& b, Exec& e, const Buffers& a) { b.act_backward(e, Act::relu, a[0], a[1], {a[2]}); }).args = {
        in(n), in(n), out(n)};
    add("add_act", 0, 2, [](Backend& b, Exec& e, const Buffers& a) { b.add_act(e, Act::relu, a[0], a[1], a[2]); }).args = {in(n), in(n),
                                                                                                                           out(n)};
    add("add_scaled", 0, 2, [](Backend& b, Exec& e, const Buffers& a) { b.add_scaled(e, 0.5, a[0], a[1]); }).args = {in(n), out(n)};
    const ScaleShiftShape s{.rows = r.rows, .c = r.c, .x_width = r.c, .act = Act::relu};
    add("scale_shift_act", 0, 2, [s](Backend& b, Exec& e, const Buffers& a) { b.scale_shift_act(e, s, a[0], a[1], a[2], a[3]); }).args = {
        in(n), wide_in(r.c), wide_in(r.c), out(n)};
    const DropoutShape d{.rows = r.rows, .c = r.c, .rate = 0.3f, .seed = 5, .layer = 1};
    add("dropout", 0, 1, [d](Backend& b, Exec& e, const Buffers& a) { b.dropout(e, d, a[0], a[1], a[2], {a[3]}); }).args = {
        in(n), whole(DType::int32, r.rows, 0, 5000), whole(DType::int32, 1, 0, 100), out(n)};
    add("cast", 0, 1, [](Backend& b, Exec& e, const Buffers& a) { b.cast(e, a[0], a[1]); }).args = {wide_in(n), out(n)};
    add("fill", 0, 1, [](Backend& b, Exec& e, const Buffers& a) { b.fill(e, 0.75, a[0]); }).args = {out(n)};
    add("random_uniform", 0, 1, [](Backend& b, Exec& e, const Buffers& a) { b.random_uniform(e, 3, 4, -1, 1, a[0]); }).args = {out(n)};
  }
  void moving() {
    const PoolShape p = pool_shape();
    const PadShape s{.n = p.n, .h = p.h, .w = p.w, .c = p.c, .top = 0, .bottom = 1, .left = 2, .right = 1};
    add("copy", 0, 1, [](Backend& b, Exec& e, const Buffers& a) { b.copy(e, a[0], a[1]); }).args = {in(p.x_size()), out(p.x_size())};
    add("zero_pad_forward", 0, 1, [s](Backend& b, Exec& e, const Buffers& a) { b.zero_pad_forward(e, s, a[0], a[1]); }).args = {
        in(s.x_size()), out(s.y_size())};
    add("zero_pad_backward", 0, 1, [s](Backend& b, Exec& e, const Buffers& a) { b.zero_pad_backward(e, s, a[0], {a[1]}); }).args = {
        in(s.y_size()), out(s.x_size())};
    const RowShape r = rows();
    const ChannelCopy c{.rows = r.rows, .count = r.c, .from_width = r.c, .from = 0, .to_width = 3 * r.c, .to = r.c};
    add("copy_channels", 0, 1, [c](Backend& b, Exec& e, const Buffers& a) { b.copy_channels(e, c, a[0], {a[1]}); }).args = {
        in(r.size()), out(3 * r.size())};
    cases_.back().moved = 2 * r.size() * size_of(t_);
  }
  void pools() {
    const PoolShape s = pool_shape();
    add("max_pool_forward", 0, 1, [s](Backend& b, Exec& e, const Buffers& a) { b.max_pool_forward(e, s, a[0], a[1]); }).args = {
        in(s.x_size()), out(s.y_size())};
    add("max_pool_backward", 0, 9,
        [s](Backend& b, Exec& e, const Buffers& a) {
          b.max_pool_forward(e, s, a[0], a[1], a[2]);
          b.max_pool_backward(e, s, a[2], a[3], {a[4]});
        })
        .args = {in(s.x_size()), out(s.y_size()), OpCase::Arg{.type = DType::uint8, .size = s.y_size(), .compared = true}, in(s.y_size()),
                 out(s.x_size())};
    add("avg_pool_forward", 0, 9, [s](Backend& b, Exec& e, const Buffers& a) { b.avg_pool_forward(e, s, a[0], a[1]); }).args = {
        in(s.x_size()), out(s.y_size())};
    add("avg_pool_backward", 0, 9, [s](Backend& b, Exec& e, const Buffers& a) { b.avg_pool_backward(e, s, a[0], {a[1]}); }).args = {
        in(s.y_size()), out(s.x_size())};
    const RowShape image{s.h * s.w, s.c};
    add("global_avg_pool_forward", 0, image.rows, [s, image](Backend& b, Exec& e, const Buffers& a) {
      b.global_avg_pool_forward(e, s.n, image, a[0], a[1]);
    }).args = {in(s.x_size()), out(s.n * s.c)};
    add("global_avg_pool_backward", 0, 1, [s, image](Backend& b, Exec& e, const Buffers& a) {
      b.global_avg_pool_backward(e, s.n, image, a[0], {a[1]});
    }).args = {in(s.n * s.c), out(s.x_size())};
  }
  void losses() {
    const SoftmaxShape s{large_ ? 4096 : 37, 3};
    const int64_t n = s.rows * s.classes;
    add("softmax", 0, 8, [s](Backend& b, Exec& e, const Buffers& a) { b.softmax(e, s, a[0], a[1]); }).args = {in(n, -5, 5), wide_out(n)};
    add("softmax_cross_entropy_forward", 0, s.rows, [s](Backend& b, Exec& e, const Buffers& a) {
      b.softmax_cross_entropy_forward(e, s, a[0], a[1], a[2], a[3], a[4], {a[5]});
    }).args = {in(n, -5, 5), whole(DType::int32, s.rows, 0, 2), wide_in(s.classes, 0.5, 2), wide_out(n), wide_out(s.rows), wide_out(1)};
    cases_.back().size = 4;
    add("softmax_cross_entropy_backward", 0, 8, [s](Backend& b, Exec& e, const Buffers& a) {
      b.softmax_cross_entropy_backward(e, s, a[0], a[1], a[2], a[3], {a[4]});
    }).args = {wide_in(n, 0, 1), whole(DType::int32, s.rows, 0, 2), wide_in(s.classes, 0.5, 2), wide_in(1, 1, 2), out(n)};
    const int64_t m = rows().size();
    add("sum_squares", 0, m, [](Backend& b, Exec& e, const Buffers& a) { b.sum_squares(e, 0.5, a[0], {a[1]}); }).args = {in(m),
                                                                                                                         wide_out(1)};
  }
  void training() {
    const int64_t n = large_ ? 4 << 20 : 1003;
    for (const auto& [name, kind] : {std::pair{"optimizer_step sgd", OptimizerKind::sgd},
                                     {"optimizer_step adam", OptimizerKind::adam},
                                     {"optimizer_step rmsprop", OptimizerKind::rmsprop}}) {
      const OptimizerRule rule{
          .kind = kind, .learning_rate = 1e-2, .momentum = kind == OptimizerKind::adam ? 0 : 0.9, .weight_decay = 1e-3};
      add(name, 0, 4,
          [rule](Backend& b, Exec& e, const Buffers& a) {
            OptimizerSlot slot{.w = a[0], .dw = a[1], .state = {}, .copy = a[4]};
            for (int i = 0; i < rule.states(); ++i) slot.state[i] = a[size_t(2 + i)];
            b.optimizer_step(e, rule, {&slot, 1}, {.iterations = a[5], .finite = a[6]});
          })
          .args = {wide_out(n),
                   wide_in(n),
                   wide_out(n, 0, 1),
                   wide_out(n, 0, 1),
                   out(n),
                   {.type = DType::int32, .size = 1, .low = 3, .high = 3, .whole = true, .compared = true},
                   whole(DType::int32, 1, 1, 1)};
    }
    add("unscale", 0, 1,
        [](Backend& b, Exec& e, const Buffers& a) {
          const OptimizerSlot slot{.w = a[0], .dw = a[1], .state = {}, .copy = {}};
          b.unscale(e, {&slot, 1}, a[2], a[3]);
        })
        .args = {wide_in(n),
                 wide_out(n),
                 {.type = DType::float32, .size = 1, .low = 1024, .high = 1024},
                 {.type = DType::int32, .size = 1, .compared = true}};
    add("update_loss_scale", 0, 1,
        [](Backend& b, Exec& e, const Buffers& a) { b.update_loss_scale(e, {.scale = a[0], .counter = a[1], .growth_steps = 4}, a[2]); })
        .args = {{.type = DType::float32, .size = 1, .low = 1024, .high = 1024, .compared = true},
                 {.type = DType::int32, .size = 1, .low = 3, .high = 3, .whole = true, .compared = true},
                 whole(DType::int32, 1, 1, 1)};
    add("all_finite", 0, 1, [](Backend& b, Exec& e, const Buffers& a) { b.all_finite(e, a[0], a[1]); }).args = {
        in(n), {.type = DType::int32, .size = 1, .compared = true}};
  }
  void images() {
    const AugmentShape s = large_ ? AugmentShape{.n = batch_, .h = 224, .w = 224, .c = 1} : AugmentShape{.n = 3, .h = 33, .w = 29, .c = 3};
    std::vector<AugmentImage> drawn(static_cast<size_t>(s.n));
    for (size_t i = 0; i < drawn.size(); ++i)
      drawn[i] = {.transform = {0.98f, 0.1f, 1.5f - float(i), -0.1f, 1.02f, -2, 0, 0}, .contrast = 1.1f, .brightness = 5};
    const Preprocess pre{.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -1, -1}};
    add("augment", 0, s.h * s.w, [s, drawn, pre](Backend& b, Exec& e, const Buffers& a) {
      b.augment(e, s, drawn, a[0], pre, a[1]);
    }).args = {whole(DType::uint8, s.n * s.h * s.w * s.c, 0, 255), out(s.n * s.h * s.w * 3)};
    const ResizeShape r = large_ ? ResizeShape{1024, 1200, 1, 224, 224} : ResizeShape{31, 47, 3, 24, 20};
    add("resize_bilinear", 0, 4, [r](Backend& b, Exec& e, const Buffers& a) { b.resize_bilinear(e, r, a[0], a[1]); }).args = {
        whole(DType::uint8, r.h * r.w * r.c, 0, 255), {.type = DType::float32, .size = r.out_h * r.out_w * r.c, .compared = true}};
    cases_.back().size = 255;
  }

  DType t_;
  bool large_;
  int64_t batch_;
  std::vector<OpCase> cases_;
};

}  // namespace

double OpCase::Arg::value(uint64_t key, int64_t i) const {
  const double u = double(splitmix64(key * 0x9E3779B97F4A7C15u + uint64_t(i)) >> 40) * 0x1p-24;
  return whole ? low + std::floor(u * (high - low + 1)) : low + (high - low) * u;
}

std::vector<OpCase> op_cases(DType type, bool large, int64_t batch) { return Cases(type, large, batch).all(); }

}  // namespace ptrain::cli
