// DenseNet121 as Keras 2 named it, and the official files: the first layers are "conv1/conv" and "conv1/bn", groups inside a group.
#include "tools/convert/names.hpp"

namespace ptrain::convert {
namespace {

std::string keras_name(const std::string& path) {
  for (const char* first : {"conv1/conv", "conv1/bn"})
    if (path == first || path.ends_with(std::string("/") + first)) return first == std::string("conv1/conv") ? "conv1_conv" : "conv1_bn";
  return last_part(path);
}

}  // namespace

const Naming kDenseNet121Official{
    .title = "names of the official DenseNet121 files (conv1/bn)",
    .keras_net = "DenseNet121",
    .in_order = true,
    .layers = [](const NetLayout& net, const std::vector<SourceLayer>& layers) { return by_rule(net, layers, keras_name); },
    .variable = keras_variable,
};

}  // namespace ptrain::convert
