// InceptionV3: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", 2015. Keras names none of its
// convolutions, so their names are numbers in the order of creation, which is the order below.
#include "nets/nets.hpp"

namespace ptrain {
namespace {

// The pieces that the blocks are made of; all convolutions are without bias, all batch norms without gamma.
struct Pieces {
  Scope& s;

  Tensor conv(const Tensor& x, int64_t out, int64_t kh, int64_t kw, int64_t stride = 1, Pad pad = Pad::same) const {
    const ConvNames names{.conv = s.auto_name("conv2d"), .bn = s.auto_name("batch_normalization"), .act = s.auto_name("activation")};
    return s.conv_bn(x, names,
                     {.out = out, .kernel = kh, .kernel_w = kw, .stride = stride, .pad = pad, .act = Act::relu, .bn = {.gamma = false}});
  }
  Tensor max_pool(const Tensor& x) const { return s.max_pool(x, {.window = 3, .stride = 2}, s.auto_name("max_pooling2d")); }
  Tensor pool_proj(const Tensor& x, int64_t out) const {
    return conv(s.avg_pool(x, {.window = 3, .stride = 1, .pad = Pad::same}, s.auto_name("average_pooling2d")), out, 1, 1);
  }
};

Tensor block_35(const Pieces& n, const Tensor& x, int64_t proj, const std::string& name) {
  const Tensor a = n.conv(x, 64, 1, 1);
  const Tensor b = n.conv(n.conv(x, 48, 1, 1), 64, 5, 5);
  const Tensor c = n.conv(n.conv(n.conv(x, 64, 1, 1), 96, 3, 3), 96, 3, 3);
  return n.s.concat({a, b, c, n.pool_proj(x, proj)}, name);
}

Tensor block_17(const Pieces& n, const Tensor& x, int64_t f, const std::string& name) {
  const Tensor a = n.conv(x, 192, 1, 1);
  const Tensor b = n.conv(n.conv(n.conv(x, f, 1, 1), f, 1, 7), 192, 7, 1);
  const Tensor c = n.conv(n.conv(n.conv(n.conv(n.conv(x, f, 1, 1), f, 7, 1), f, 1, 7), f, 7, 1), 192, 1, 7);
  return n.s.concat({a, b, c, n.pool_proj(x, 192)}, name);
}

Tensor block_8(const Pieces& n, const Tensor& x, int i) {
  const Tensor a = n.conv(x, 320, 1, 1);
  Tensor b = n.conv(x, 384, 1, 1);
  const Tensor b1 = n.conv(b, 384, 1, 3), b2 = n.conv(b, 384, 3, 1);
  b = n.s.concat({b1, b2}, "mixed9_" + std::to_string(i));
  Tensor c = n.conv(n.conv(x, 448, 1, 1), 384, 3, 3);
  const Tensor c1 = n.conv(c, 384, 1, 3), c2 = n.conv(c, 384, 3, 1);
  c = n.s.concat({c1, c2}, n.s.auto_name("concatenate"));
  return n.s.concat({a, b, c, n.pool_proj(x, 192)}, "mixed" + std::to_string(9 + i));
}

}  // namespace

Tensor inception_v3(Scope& s, Tensor x) {
  const Pieces n{s};
  x = s.input(x);
  x = n.conv(x, 32, 3, 3, 2, Pad::valid);
  x = n.conv(x, 32, 3, 3, 1, Pad::valid);
  x = n.max_pool(n.conv(x, 64, 3, 3));
  x = n.conv(x, 80, 1, 1, 1, Pad::valid);
  x = n.max_pool(n.conv(x, 192, 3, 3, 1, Pad::valid));
  x = block_35(n, x, 32, "mixed0");
  x = block_35(n, x, 64, "mixed1");
  x = block_35(n, x, 64, "mixed2");

  Tensor a = n.conv(x, 384, 3, 3, 2, Pad::valid);
  Tensor b = n.conv(n.conv(n.conv(x, 64, 1, 1), 96, 3, 3), 96, 3, 3, 2, Pad::valid);
  x = s.concat({a, b, n.max_pool(x)}, "mixed3");
  int mixed = 4;
  for (const int64_t f : {128, 160, 160, 192}) x = block_17(n, x, f, "mixed" + std::to_string(mixed++));

  a = n.conv(n.conv(x, 192, 1, 1), 320, 3, 3, 2, Pad::valid);
  b = n.conv(n.conv(n.conv(n.conv(x, 192, 1, 1), 192, 1, 7), 192, 7, 1), 192, 3, 3, 2, Pad::valid);
  x = s.concat({a, b, n.max_pool(x)}, "mixed8");
  x = block_8(n, x, 0);
  return block_8(n, x, 1);
}

}  // namespace ptrain
