// ResNet50 of 2016 (v0.2): "res2a_branch2b" is conv2_block1_2_conv, "bn2a_branch1" is conv2_block1_0_bn, variables are "…_W:0" and
// "…_running_std:0" (which holds the variance). In block 1 of each stage the shortcut (branch1) comes after branch2c, in Keras before it,
// and in stage 2 both have the same shape: loading such a file by order swaps them silently. So: by name only.
#include "tools/convert/names.hpp"

namespace ptrain::convert {
namespace {

std::string keras_name(const std::string& path) {
  const std::string name = last_part(path);
  if (name == "conv1") return "conv1_conv";
  if (name == "bn_conv1") return "conv1_bn";
  if (name == "fc1000") return "predictions";
  const bool conv = name.starts_with("res"), bn = name.starts_with("bn");
  if (!conv && !bn) return "";
  const std::string rest = name.substr(conv ? 3 : 2);  // "2a_branch2b"
  const size_t branch = rest.find("_branch");
  if (branch != 2 || rest[1] < 'a' || rest[1] > 'f') return "";
  const std::string which = rest.substr(branch + 7);
  const std::string part = which == "1" ? "0" : which == "2a" ? "1" : which == "2b" ? "2" : which == "2c" ? "3" : "";
  if (part.empty()) return "";
  return concat("conv", rest[0], "_block", rest[1] - 'a' + 1, "_", part, conv ? "_conv" : "_bn");
}

std::string variable(const NetLayout&, const LayoutLayer&, const SourceLayer& source, size_t index) {
  std::string v = bare_variable(source.tensors[index].name);
  const std::string layer = last_part(source.name) + "_";
  if (!v.starts_with(layer)) return "";
  v = v.substr(layer.size());
  if (v == "W") return "kernel";
  if (v == "b") return "bias";
  if (v == "running_mean") return "moving_mean";
  if (v == "running_std") return "moving_variance";
  return v;
}

}  // namespace

const Naming kResNet50V02{
    .title = "names of the official ResNet50 files of 2016, v0.2 (res2a_branch2a)",
    .keras_net = "ResNet50",
    .in_order = false,
    .layers = [](const NetLayout& net, const std::vector<SourceLayer>& layers) { return by_rule(net, layers, keras_name); },
    .variable = variable,
};

}  // namespace ptrain::convert
