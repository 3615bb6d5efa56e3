// .weights.h5 without names: within one list of layers conv2d_5 is the sixth Conv2D of model.layers. A model around the base may have more
// of a class before or after it; then the shapes must leave one place only.
#include <algorithm>
#include <map>

#include "tools/convert/names.hpp"

namespace ptrain::convert {
namespace {

std::vector<std::string> layers(const NetLayout& net, const std::vector<SourceLayer>& sources) {
  std::vector<std::string> names(sources.size());
  std::map<std::string, size_t> places;  // where most convolutions are, there is the base
  for (const SourceLayer& s : sources)
    if (s.kind == "conv2d") ++places[s.place];
  if (places.empty()) return names;
  const std::string place =
      std::max_element(places.begin(), places.end(), [](const auto& a, const auto& b) { return a.second < b.second; })->first;
  for (const char* kind : {"conv2d", "depthwise_conv2d", "batch_normalization", "dense"}) {
    std::vector<const LayoutLayer*> wanted;
    for (const LayoutLayer& l : net.layers)
      if (l.kind == kind) wanted.push_back(&l);
    std::vector<size_t> found;
    for (size_t i = 0; i < sources.size(); ++i)
      if (sources[i].place == place && sources[i].kind == kind) found.push_back(i);
    std::sort(found.begin(), found.end(), [&](size_t a, size_t b) { return sources[a].number < sources[b].number; });
    align(net, wanted, found, sources, names);
  }
  for (size_t i = 0; i < sources.size(); ++i)  // names that say otherwise are not overruled
    if (!names[i].empty() && names[i] != sources[i].name && net.find(sources[i].name) >= 0) return std::vector<std::string>(sources.size());
  return names;
}

}  // namespace

const Naming kClassNumbers{
    .title = "numbers per class, in the order of model.layers (the file has no names)",
    .keras_net = "",
    .in_order = true,
    .layers = layers,
    .variable = keras_variable,
};

}  // namespace ptrain::convert
