// VGG16: Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", 2014.
#include "nets/nets.hpp"

namespace ptrain {

Tensor vgg16(Scope& s, Tensor x) {
  x = s.input(x);
  struct Block {
    int convs;
    int64_t out;
  };
  int b = 0;
  for (const Block& block : {Block{2, 64}, {2, 128}, {3, 256}, {3, 512}, {3, 512}}) {
    const std::string p = "block" + std::to_string(++b);
    for (int i = 1; i <= block.convs; ++i)
      x = s.conv(x, p + "_conv" + std::to_string(i), {.out = block.out, .kernel = 3, .pad = Pad::same, .bias = true, .act = Act::relu});
    x = s.max_pool(x, {.window = 2, .stride = 2}, p + "_pool");
  }
  return x;
}

Tensor vgg16_top(Scope& s, Tensor x) {
  x = s.flatten(x, "flatten");
  x = s.dense(x, "fc1", 4096, Act::relu);
  x = s.dense(x, "fc2", 4096, Act::relu);
  return s.logits(x, "predictions", 1000);
}

}  // namespace ptrain
