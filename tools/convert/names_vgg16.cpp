// The official VGG16 files, converted from Keras 1: layers as today, variables "block1_conv1_W_1:0" and "block1_conv1_b_1:0".
#include "tools/convert/names.hpp"

namespace ptrain::convert {
namespace {

std::string variable(const NetLayout&, const LayoutLayer& layer, const SourceLayer& source, size_t index) {
  const std::string name = bare_variable(source.tensors[index].name);
  if (name == layer.name + "_W") return "kernel";
  if (name == layer.name + "_b") return "bias";
  return "";
}

}  // namespace

const Naming kVgg16Official{
    .title = "names of the official VGG16 files (block1_conv1_W_1:0)",
    .keras_net = "VGG16",
    .in_order = true,
    .layers = [](const NetLayout& net, const std::vector<SourceLayer>& layers) { return by_rule(net, layers, last_part); },
    .variable = variable,
};

}  // namespace ptrain::convert
