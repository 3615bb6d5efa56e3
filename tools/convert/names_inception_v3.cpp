// InceptionV3 has no names of its own: Keras numbers conv2d and batch_normalization in the order of creation. The official files begin at
// 1, a fresh session of Keras 3 without a number, a second model of a session at 94. What counts is the order of the numbers.
#include <algorithm>
#include <map>

#include "tools/convert/names.hpp"

namespace ptrain::convert {
namespace {

// "conv2d_12" → conv2d, 12; "conv2d" → conv2d, 0
std::pair<std::string, int64_t> split_number(const std::string& path) {
  const std::string name = last_part(path);
  const size_t bar = name.rfind('_');
  const bool numbered = bar != std::string::npos && bar + 1 < name.size() && name.size() - bar < 9 &&
                        name.find_first_not_of("0123456789", bar + 1) == std::string::npos;
  return numbered ? std::pair(name.substr(0, bar), int64_t(std::stoll(name.substr(bar + 1)))) : std::pair(name, int64_t(0));
}

std::vector<std::string> layers(const NetLayout& net, const std::vector<SourceLayer>& sources) {
  std::vector<std::string> names = by_rule(net, sources, [](const std::string& path) {
    const std::string name = last_part(path);
    return name == "predictions" ? name : "";
  });
  for (const char* kind : {"conv2d", "batch_normalization"}) {
    std::map<int64_t, const LayoutLayer*> wanted;
    for (const LayoutLayer& l : net.layers)
      if (const auto [k, number] = split_number(l.name); k == kind) wanted[number] = &l;
    std::map<int64_t, std::vector<size_t>> found;
    for (size_t i = 0; i < sources.size(); ++i)
      if (const auto [k, number] = split_number(sources[i].name); k == kind) found[number].push_back(i);
    std::vector<const LayoutLayer*> sequence;
    for (const auto& [number, layer] : wanted) sequence.push_back(layer);
    std::vector<size_t> order;
    for (const auto& [number, list] : found) order.insert(order.end(), list.begin(), list.end());
    align(net, sequence, order, sources, names);
  }
  return names;
}

}  // namespace

const Naming kInceptionV3Numbers{
    .title = "InceptionV3 by the order of its numbers (conv2d_1 …)",
    .keras_net = "InceptionV3",
    .in_order = true,
    .layers = layers,
    .variable = keras_variable,
};

}  // namespace ptrain::convert
