// DenseNet121: Huang et al., "Densely Connected Convolutional Networks", 2016. Batch norm and activation come before the convolution.
#include "nets/nets.hpp"

namespace ptrain {
namespace {

constexpr BnOpts kBn{.eps = 1.001e-5, .momentum = 0.99};

// 32 new channels beside those that are there.
void conv_block(Scope& s, Block& x, const std::string& p) {
  Tensor y = s.bn_act(x, p + "_0_bn", p + "_0_relu", Act::relu, kBn);
  y = s.conv_bn(y, {.conv = p + "_1_conv", .bn = p + "_1_bn", .act = p + "_1_relu"}, {.out = 128, .act = Act::relu, .bn = kBn});
  y = s.conv(y, p + "_2_conv", {.out = 32, .kernel = 3, .pad = Pad::same});
  s.append(x, y, p + "_concat");
}

// Half the channels, half the size.
Tensor transition(Scope& s, const Block& x, const std::string& p) {
  Tensor y = s.bn_act(x, p + "_bn", p + "_relu", Act::relu, kBn);
  y = s.conv(y, p + "_conv", {.out = y.dim(3) / 2});
  return s.avg_pool(y, {.window = 2, .stride = 2}, p + "_pool");
}

}  // namespace

Tensor densenet121(Scope& s, Tensor x) {
  x = s.input(x);
  x = s.conv_bn(x, {.pad = s.auto_name("zero_padding2d"), .conv = "conv1_conv", .bn = "conv1_bn", .act = "conv1_relu"},
                {.out = 64, .kernel = 7, .stride = 2, .zero_pad = {3, 3, 3, 3}, .act = Act::relu, .bn = kBn});
  x = s.zero_pad(x, {1, 1, 1, 1}, s.auto_name("zero_padding2d"));
  x = s.max_pool(x, {.window = 3, .stride = 2}, "pool1");
  int stage = 2;
  for (const int repeat : {6, 12, 24, 16}) {
    Block block = s.block(x, x.dim(3) + 32 * repeat);
    for (int i = 1; i <= repeat; ++i) conv_block(s, block, "conv" + std::to_string(stage) + "_block" + std::to_string(i));
    x = stage < 5 ? transition(s, block, "pool" + std::to_string(stage)) : s.bn_act(block, "bn", "relu", Act::relu, kBn);
    ++stage;
  }
  return x;
}

}  // namespace ptrain
