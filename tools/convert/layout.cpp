#include "tools/convert/layout.hpp"

#include <algorithm>
#include <cctype>

#include "nets/build.hpp"

namespace ptrain::convert {
namespace {

std::string kind_of(const std::vector<LayoutTensor>& tensors, const LayoutLayer& layer) {
  const LayoutTensor& first = tensors[layer.first];
  if (first.var == "depthwise_kernel") return "depthwise_conv2d";
  if (first.var == "kernel") return first.shape.rank() == 2 ? "dense" : "conv2d";
  return "batch_normalization";
}

std::string plain(const std::string& name) {
  std::string text;
  for (const char c : name)
    if (std::isalnum(uint8_t(c))) text += char(std::tolower(uint8_t(c)));
  return text;
}

}  // namespace

int NetLayout::find(const std::string& layer) const {
  const auto it = std::find_if(layers.begin(), layers.end(), [&](const LayoutLayer& l) { return l.name == layer; });
  return it == layers.end() ? -1 : int(it - layers.begin());
}

NetLayout net_layout(const NetInfo& net, bool top) {
  const Shape image{1, net.input_size, net.input_size, 3};
  const NetFunction function = top ? with_top(net) : features_of(net);
  const Params params = build(function, image);
  NetLayout layout{.net = net.name, .keras_net = net.keras_name, .top = top, .tensors = {}, .layers = {}};
  layout.input_size = net.input_size, layout.min_size = net.min_size, layout.preprocessing = net.preprocess;
  for (const Layer& l : list_layers(function, image)) {
    LayoutLayer layer{.name = l.spec.name, .kind = "", .first = layout.tensors.size()};
    for (const Param& p : params.list())
      if (p.layer == layer.name) layout.tensors.push_back({p.layer, p.weight, p.shape});
    layer.count = layout.tensors.size() - layer.first;
    if (layer.count == 0) continue;
    layer.kind = kind_of(layout.tensors, layer);
    layout.layers.push_back(layer);
  }
  layout.features = list_layers(features_of(net), image).back().output[3];
  REQUIRE_THAT(layout.tensors.size() == params.list().size(), net.name, " has weights outside of its layers");
  return layout;
}

std::vector<NetLayout> all_layouts() {
  std::vector<NetLayout> list;
  for (const NetInfo& net : net_table())
    for (const bool top : {false, true}) list.push_back(net_layout(net, top));
  return list;
}

const NetLayout& find_layout(const std::vector<NetLayout>& layouts, const std::string& net) {
  std::string known;
  for (const NetLayout& l : layouts) {
    if (plain(l.net) == plain(net)) return l;
    if (!l.top) known += (known.empty() ? "" : ", ") + l.net;
  }
  fail(ErrorKind::usage, "unknown net '", net, "': known are ", known, ", and auto");
}

std::string shape_text(const Shape& shape) {
  std::string text;
  for (const int64_t d : shape) text += (text.empty() ? "" : "x") + std::to_string(d);
  return text.empty() ? "scalar" : text;
}

}  // namespace ptrain::convert
