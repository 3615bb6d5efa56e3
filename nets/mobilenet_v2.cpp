// MobileNetV2, alpha 1.0: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", 2018.
#include "nets/nets.hpp"

namespace ptrain {
namespace {

constexpr BnOpts kBn{.eps = 1e-3, .momentum = 0.999};

// 1×1 up, depthwise 3×3, 1×1 down without an activation; the sum with the input where shapes allow it.
Tensor inverted_residual(Scope& s, const Tensor& x, int64_t out, int64_t stride, int64_t expand, int id) {
  const std::string p = id ? "block_" + std::to_string(id) + "_" : "expanded_conv_";
  ConvStep up;  // block 0 has no expansion
  if (id)
    up = {{.conv = p + "expand", .bn = p + "expand_BN", .act = p + "expand_relu"},
          {.out = expand * x.dim(3), .act = Act::relu6, .bn = kBn}};
  ConvStep depthwise{{.conv = p + "depthwise", .bn = p + "depthwise_BN", .act = p + "depthwise_relu"},
                     {.kernel = 3, .stride = stride, .act = Act::relu6, .bn = kBn}};
  if (stride == 2) depthwise.names.pad = p + "pad", depthwise.o.zero_pad = keras_pad(x, 3);
  else depthwise.o.pad = Pad::same;
  const bool shortcut = stride == 1 && x.dim(3) == out;
  const ConvStep down{{.conv = p + "project", .bn = p + "project_BN", .add = p + "add"},
                      {.out = out, .bn = kBn, .residual = shortcut ? x : Tensor()}};
  return s.inverted_residual(x, up, depthwise, down);
}

}  // namespace

Tensor mobilenet_v2(Scope& s, Tensor x) {
  x = s.input(x);
  x = s.conv_bn(x, {.conv = "Conv1", .bn = "bn_Conv1", .act = "Conv1_relu"},
                {.out = 32, .kernel = 3, .stride = 2, .pad = Pad::same, .act = Act::relu6, .bn = kBn});
  struct Stage {
    int64_t out;
    int repeat;
    int64_t stride, expand;
  };
  int id = 0;
  for (const Stage& g : {Stage{16, 1, 1, 1}, {24, 2, 2, 6}, {32, 3, 2, 6}, {64, 4, 2, 6}, {96, 3, 1, 6}, {160, 3, 2, 6}, {320, 1, 1, 6}})
    for (int i = 0; i < g.repeat; ++i) x = inverted_residual(s, x, g.out, i == 0 ? g.stride : 1, g.expand, id++);
  return s.conv_bn(x, {.conv = "Conv_1", .bn = "Conv_1_bn", .act = "out_relu"}, {.out = 1280, .act = Act::relu6, .bn = kBn});
}

Tensor mobilenet_v2_top(Scope& s, Tensor x) { return s.logits(s.global_avg_pool(x, "global_average_pooling2d"), "predictions", 1000); }

}  // namespace ptrain
