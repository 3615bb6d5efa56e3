// The official MobileNetV2 files: "mobl1_conv_1_expand" is block_1_expand, "bn1_conv_1_bn_expand" is block_1_expand_BN, and block 0 is
// called expanded_conv.
#include "tools/convert/names.hpp"

namespace ptrain::convert {
namespace {

// After `prefix` the block's number, then `middle`, the number again, and `end`; what follows is the part (expand, depthwise, project).
std::string part_of(const std::string& name, const std::string& prefix, const std::string& end, std::string& block) {
  if (!name.starts_with(prefix)) return "";
  const size_t digits = name.find_first_not_of("0123456789", prefix.size());
  if (digits == std::string::npos) return "";
  block = name.substr(prefix.size(), digits - prefix.size());
  const std::string lead = prefix + block + "_conv_" + block + end;
  return !block.empty() && name.starts_with(lead) ? name.substr(lead.size()) : "";
}

std::string keras_name(const std::string& path) {
  const std::string name = last_part(path);
  std::string block;
  std::string part = part_of(name, "mobl", "_", block);
  if (part.empty()) {
    part = part_of(name, "bn", "_bn_", block);
    if (!part.empty()) part += "_BN";
  }
  if (part.empty()) return name;  // Conv1, bn_Conv1, Conv_1, Conv_1_bn, predictions
  return (block == "0" ? "expanded_conv_" : "block_" + block + "_") + part;
}

}  // namespace

const Naming kMobileNetV2Official{
    .title = "names of the official MobileNetV2 files (mobl1_conv_1_expand)",
    .keras_net = "MobileNetV2",
    .in_order = true,
    .layers = [](const NetLayout& net, const std::vector<SourceLayer>& layers) { return by_rule(net, layers, keras_name); },
    .variable = keras_variable,
};

}  // namespace ptrain::convert
