// Container: .weights.h5 of Keras 3 and of tf.keras from 2.12 on. The tree follows the model's attributes; layers of a list are called by
// class and number (layers/conv2d_5), their variables by number (vars/0). Newer versions note the layer's own name at "vars".
#include <algorithm>

#include "tools/convert/source.hpp"

namespace ptrain::convert {
namespace {

bool bookkeeping(const std::string& path) {
  return path.starts_with("optimizer/") || path.starts_with("_optimizer/") || path.find("seed_generator") != std::string::npos;
}

SourceLayer read_vars(hid_t root, const std::string& path) {  // path of the layer; "" is the model itself
  const std::string vars = path.empty() ? "vars" : path + "/vars";
  const hdf5::Object group = open_path(root, vars);
  if (group.kind != hdf5::ObjectKind::group) fail(ErrorKind::weights, "'", vars, "' is not a group");
  SourceLayer layer{.name = "", .path = path, .place = "", .kind = "", .number = -1, .tensors = {}};
  const size_t slash = path.rfind('/');
  if (slash != std::string::npos) layer.place = path.substr(0, slash);
  const AutoName own = split_auto_name(path.substr(slash == std::string::npos ? 0 : slash + 1));
  layer.kind = own.kind, layer.number = own.number;
  if (const auto name = hdf5::attribute(group.handle, "name"); name && std::holds_alternative<std::string>(*name))
    layer.name = std::get<std::string>(*name);
  const std::vector<hdf5::Child> variables = hdf5::children(group.handle);
  for (size_t i = 0; i < variables.size(); ++i) {  // 0, 1, 2, … without a gap
    const std::string number = std::to_string(i);
    if (std::none_of(variables.begin(), variables.end(), [&](const hdf5::Child& c) { return c.name == number; }))
      fail(ErrorKind::weights, "'", vars, "' holds ", variables.size(), " variables, but none is called ", number);
    layer.tensors.push_back(describe_dataset(root, vars + "/" + number, number));
  }
  return layer;
}

// Is this a variable: "vars/0" or "layers/conv2d/vars/0"? Then the length of the layer's path.
std::optional<size_t> owner_length(const std::string& path) {
  const size_t bar = path.rfind('/');
  if (bar == std::string::npos || bar < 4 || path.compare(bar - 4, 4, "vars") != 0) return {};
  if (bar == 4) return 0;
  if (path[bar - 5] != '/') return {};
  return bar - 5;
}

// Classes of the layers in lists of layers that have neither weights nor layers of their own. An attribute of somebody's own class has a
// name that says nothing.
std::set<std::string> weightless_of(const std::vector<std::string>& groups, const std::set<std::string>& with_weights) {
  std::set<std::string> full = with_weights, classes;  // full: models as well
  const auto list_of = [](const std::string& path) { return path.substr(0, std::min(path.size(), path.rfind('/'))); };
  const auto is_list = [](const std::string& path) { return path.substr(path.rfind('/') + 1) == "layers"; };
  for (const std::string& g : groups)
    if (is_list(g)) full.insert(list_of(g));
  for (const std::string& g : groups) {
    if (full.contains(g) || !is_list(list_of(g))) continue;
    classes.insert(split_auto_name(g.substr(g.rfind('/') + 1)).kind);
  }
  return classes;
}

}  // namespace

bool is_weights_h5(hid_t root) {
  for (const Entry& e : census(root).datasets)
    if (owner_length(e.path)) return true;
  return false;
}

Source read_weights_h5(hid_t root) {
  Source s{.container = ".weights.h5"};
  std::set<std::string> layers;
  const Census tree = census(root);
  for (const Entry& e : tree.datasets) {
    if (bookkeeping(e.path)) {
      ++s.bookkeeping;
      continue;
    }
    if (const auto length = owner_length(e.path)) layers.insert(e.path.substr(0, *length));
    else s.unlisted.push_back(e.path);
  }
  for (const std::string& path : layers) s.layers.push_back(read_vars(root, path));
  s.weightless = weightless_of(tree.groups, layers);
  return s;
}

}  // namespace ptrain::convert
