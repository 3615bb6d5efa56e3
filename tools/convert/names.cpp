#include "tools/convert/names.hpp"

#include <algorithm>

namespace ptrain::convert {
namespace {

bool fits(const NetLayout& net, const LayoutLayer& wanted, const SourceLayer& source) {
  if (source.tensors.size() != wanted.count) return false;
  std::vector<std::string> a, b;  // as sets: the variables of a legacy layer may come in any order
  for (size_t i = 0; i < wanted.count; ++i) {
    a.push_back(str(net.tensors[wanted.first + i].shape));
    b.push_back(str(source.tensors[i].shape));
  }
  std::sort(a.begin(), a.end()), std::sort(b.begin(), b.end());
  return a == b;
}

}  // namespace

const std::vector<const Naming*>& all_namings() {
  static const std::vector<const Naming*> list = {&kKerasNames,         &kVgg16Official, &kMobileNetV2Official, &kDenseNet121Official,
                                                  &kInceptionV3Numbers, &kResNet50V02,   &kClassNumbers};
  return list;
}

std::string last_part(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::string bare_variable(const std::string& name) {
  std::string v = last_part(name);
  const auto strip = [&](char mark) {
    const size_t at = v.rfind(mark);
    if (at != std::string::npos && at > 0 && at + 1 < v.size() && v.find_first_not_of("0123456789", at + 1) == std::string::npos)
      v.resize(at);
  };
  strip(':'), strip('_');
  return v;
}

std::string keras_variable(const NetLayout& net, const LayoutLayer& layer, const SourceLayer& source, size_t index) {
  const std::string& name = source.tensors[index].name;
  if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos)
    return index < layer.count ? net.tensors[layer.first + index].var : "";
  const std::string v = bare_variable(name);
  return v == "kernel" && layer.kind == "depthwise_conv2d" ? "depthwise_kernel" : v;
}

void align(const NetLayout& net, const std::vector<const LayoutLayer*>& wanted, const std::vector<size_t>& found,
           const std::vector<SourceLayer>& layers, std::vector<std::string>& names) {
  if (wanted.empty() || found.empty()) return;
  size_t place = 0, places = 0;
  for (size_t at = 0; at + wanted.size() <= found.size(); ++at) {
    bool all = true;
    for (size_t i = 0; i < wanted.size() && all; ++i) all = fits(net, *wanted[i], layers[found[at + i]]);
    if (all) place = at, ++places;
  }
  if (places > 1) return;      // nobody can say which
  if (places == 0) place = 0;  // not this net, or a damaged one: this is what the messages will speak of
  for (size_t i = 0; i < wanted.size() && place + i < found.size(); ++i) names[found[place + i]] = wanted[i]->name;
}

}  // namespace ptrain::convert
