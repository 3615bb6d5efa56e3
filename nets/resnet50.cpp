// ResNet50: He et al., "Deep Residual Learning for Image Recognition", 2015. As in Keras every convolution has a bias, and the
// stride sits in the first 1×1 of a stage.
#include "nets/nets.hpp"

namespace ptrain {
namespace {

constexpr BnOpts kBn{.eps = 1.001e-5, .momentum = 0.99};

Tensor bottleneck(Scope& s, const Tensor& x, int64_t width, int64_t stride, bool project, const std::string& p) {
  Tensor shortcut = x;
  if (project)
    shortcut = s.conv_bn(x, {.conv = p + "_0_conv", .bn = p + "_0_bn"}, {.out = 4 * width, .stride = stride, .bias = true, .bn = kBn});
  Tensor y = s.conv_bn(x, {.conv = p + "_1_conv", .bn = p + "_1_bn", .act = p + "_1_relu"},
                       {.out = width, .stride = stride, .bias = true, .act = Act::relu, .bn = kBn});
  y = s.conv_bn(y, {.conv = p + "_2_conv", .bn = p + "_2_bn", .act = p + "_2_relu"},
                {.out = width, .kernel = 3, .pad = Pad::same, .bias = true, .act = Act::relu, .bn = kBn});
  return s.conv_bn(y, {.conv = p + "_3_conv", .bn = p + "_3_bn", .add = p + "_add", .act = p + "_out"},
                   {.out = 4 * width, .bias = true, .act = Act::relu, .bn = kBn, .residual = shortcut});
}

}  // namespace

Tensor resnet50(Scope& s, Tensor x) {
  x = s.input(x);
  x = s.conv_bn(x, {.pad = "conv1_pad", .conv = "conv1_conv", .bn = "conv1_bn", .act = "conv1_relu"},
                {.out = 64, .kernel = 7, .stride = 2, .zero_pad = {3, 3, 3, 3}, .bias = true, .act = Act::relu, .bn = kBn});
  x = s.zero_pad(x, {1, 1, 1, 1}, "pool1_pad");
  x = s.max_pool(x, {.window = 3, .stride = 2}, "pool1_pool");
  int stage = 2;
  int64_t width = 64;
  for (const int repeat : {3, 4, 6, 3}) {
    for (int i = 1; i <= repeat; ++i)
      x = bottleneck(s, x, width, i == 1 && stage > 2 ? 2 : 1, i == 1, "conv" + std::to_string(stage) + "_block" + std::to_string(i));
    ++stage, width *= 2;
  }
  return x;
}

}  // namespace ptrain
