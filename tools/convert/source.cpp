#include "tools/convert/source.hpp"

#include <map>

namespace ptrain::convert {
namespace {

constexpr int kMaxDepth = 24;
constexpr size_t kMaxObjects = 200'000;

struct Walk {
  Census found;
  std::map<uint64_t, std::string> seen;  // address → path

  void group(hid_t at, const std::string& path, int depth) {
    if (depth > kMaxDepth) fail(ErrorKind::weights, "groups are nested more than ", kMaxDepth, " deep at '", path, "'");
    for (const hdf5::Child& c : hdf5::children(at)) {
      const std::string name = path.empty() ? c.name : path + "/" + c.name;
      hdf5::Object o = [&] {
        try {
          return hdf5::open_child(at, c.name);
        } catch (const Error& e) {
          fail(ErrorKind::weights, path.empty() ? "" : "in '" + path + "': ", e.what());
        }
      }();
      const auto [first, is_new] = seen.emplace(o.address, name);
      if (!is_new) fail(ErrorKind::weights, "'", name, "' is '", first->second, "' once more: two names for one object");
      if (seen.size() > kMaxObjects) fail(ErrorKind::weights, "more than ", kMaxObjects, " objects");
      if (o.kind == hdf5::ObjectKind::dataset) found.datasets.push_back({name, o.address});
      if (o.kind != hdf5::ObjectKind::group) continue;
      found.groups.push_back(name);
      group(o.handle, name, depth + 1);
    }
  }
};

[[noreturn]] void refuse_container(hid_t root) {
  std::set<std::string> names;
  for (const hdf5::Child& c : hdf5::children(root)) names.insert(c.name);
  if (hdf5::attribute(root, "nb_layers"))
    fail(ErrorKind::weights,
         "a Keras 1 file (nb_layers, layer_0/param_0, …): its layers have no names. Load it in Keras 2 and save it again");
  if (hdf5::attribute(root, "format_version") && names.contains("weights"))
    fail(ErrorKind::weights, "this is a ptrain model already; it needs no conversion");
  fail(ErrorKind::weights,
       "an HDF5 file, but not one of Keras: it has no layer_names attribute (nothing would be loaded), no model_weights and no 'vars' "
       "groups");
}

}  // namespace

AutoName split_auto_name(const std::string& name) {
  const size_t bar = name.find_last_not_of("0123456789"), digits = name.size() - bar - 1;
  const bool numbered = bar != std::string::npos && bar > 0 && name[bar] == '_' && digits > 0 && digits < 9;
  return numbered ? AutoName{name.substr(0, bar), std::stoll(name.substr(bar + 1))} : AutoName{name, 0};
}

Census census(hid_t group) {
  Walk walk;
  walk.group(group, "", 0);
  return std::move(walk.found);
}

hdf5::Object open_path(hid_t group, const std::string& path) {
  const size_t slash = path.find('/');
  hdf5::Object first = hdf5::open_child(group, path.substr(0, slash));
  if (slash == std::string::npos) return first;
  if (first.kind != hdf5::ObjectKind::group) fail(ErrorKind::weights, "'", path.substr(0, slash), "' is not a group");
  return open_path(first.handle, path.substr(slash + 1));
}

SourceTensor describe_dataset(hid_t group, const std::string& path, const std::string& name) {
  hdf5::Object object = open_path(group, path);
  if (object.kind != hdf5::ObjectKind::dataset) fail(ErrorKind::weights, "'", path, "' is a group where a dataset is expected");
  const hdf5::Dataset d = hdf5::open_dataset(std::move(object.handle), path);
  SourceTensor t{.name = name, .path = path, .shape = d.shape, .element = d.element};
  if (d.element == hdf5::Element::opaque2) {
    const auto mark = hdf5::attribute(d.handle, "dtype");
    t.bfloat16 = mark && std::holds_alternative<std::string>(*mark) && std::get<std::string>(*mark) == "bfloat16";
  }
  return t;
}

Source read_source(hid_t file) {
  const hdf5::Handle root(H5Gopen2(file, "/", H5P_DEFAULT), H5Gclose);
  if (!root) fail(ErrorKind::weights, "the root group cannot be opened: ", hdf5::last_error());
  if (is_legacy(root)) return read_legacy(root);
  if (is_weights_h5(root)) return read_weights_h5(root);
  refuse_container(root);
}

}  // namespace ptrain::convert
