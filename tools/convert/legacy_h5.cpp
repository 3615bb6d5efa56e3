// Container: legacy .h5, of Keras 1.x with names, 2 and 3: `layer_names` lists the layers, `weight_names` of each group its datasets.
// A full model (model.save("x.h5")) holds the same in /model_weights, and its configuration in an attribute. A nested model is one group
// whose weight names begin with the names of its own layers: trainable ones first, so their order means nothing.
#include <algorithm>
#include <map>

#include "tools/convert/source.hpp"

namespace ptrain::convert {
namespace {

using Names = std::vector<std::string>;

std::optional<Names> as_names(const Attribute& a) {
  if (const auto* list = std::get_if<Names>(&a)) return *list;
  if (const auto* empty = std::get_if<std::vector<double>>(&a); empty && empty->empty()) return Names{};  // numpy's empty list
  return {};
}

// The attribute, or its pieces name0, name1, … when it was too long for one.
std::optional<Names> name_list(hid_t object, const std::string& name) {
  const auto whole = hdf5::attribute(object, name);
  Names all;
  for (int i = 0; i < 10'000; ++i) {
    const auto piece = whole ? whole : hdf5::attribute(object, name + std::to_string(i));
    if (!piece && i == 0) return {};
    if (!piece) break;
    const auto names = as_names(*piece);
    if (!names) fail(ErrorKind::weights, "attribute '", name, "' is not a list of names");
    all.insert(all.end(), names->begin(), names->end());
    if (all.size() > hdf5::kMaxChildren) fail(ErrorKind::weights, "'", name, "' lists more than ", hdf5::kMaxChildren, " names");
    if (whole) break;
  }
  return all;
}

std::string text_attribute(hid_t object, const std::string& name) {
  const auto a = hdf5::attribute(object, name);
  if (!a) return "";
  if (const auto* text = std::get_if<std::string>(&*a)) return *text;
  const auto* list = std::get_if<Names>(&*a);
  return list && list->size() == 1 ? list->front() : "";
}

std::string before_last_slash(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? "" : name.substr(0, slash);
}

class Reader {
 public:
  explicit Reader(hid_t group) : group_(group) {}

  void layer(const std::string& name, int64_t number) {
    if (std::find(layers_.begin(), layers_.end(), name) != layers_.end()) fail(ErrorKind::weights, "layer_names lists '", name, "' twice");
    layers_.push_back(name);
    const hdf5::Object object = open_path(group_, name);
    if (object.kind != hdf5::ObjectKind::group) fail(ErrorKind::weights, "layer '", name, "' is not a group");
    const auto names = name_list(object.handle, "weight_names");
    if (!names) fail(ErrorKind::weights, "layer '", name, "' has no weight_names attribute");
    weights(name, *names, number);
  }

  std::vector<SourceLayer> found;
  std::set<std::string> listed;  // paths

 private:
  void weights(const std::string& layer, const Names& names, int64_t number) {
    std::set<std::string> owners;
    for (const std::string& n : names) owners.insert(before_last_slash(n));
    const bool nested = owners.size() > 1;
    for (const std::string& n : names) {
      const std::string owner = before_last_slash(n), path = layer + "/" + n;
      if (!listed.insert(path).second) fail(ErrorKind::weights, "layer '", layer, "' lists the weight '", n, "' twice");
      SourceLayer& to = nested ? part(layer, owner) : part(layer, "");
      to.number = nested ? -1 : number;
      try {
        to.tensors.push_back(describe_dataset(group_, path, n));
      } catch (const Error& e) {
        fail(ErrorKind::weights, "layer '", layer, "' lists the weight '", n, "': ", e.what());
      }
    }
  }

  SourceLayer& part(const std::string& layer, const std::string& owner) {
    const auto [it, is_new] = index_.emplace(std::pair(layer, owner), found.size());
    if (is_new) {
      SourceLayer part{.name = layer, .path = layer, .place = "", .kind = "", .number = -1, .tensors = {}};
      if (!owner.empty()) part.name = owner, part.path += "/" + owner, part.place = layer;
      found.push_back(std::move(part));
    }
    return found[it->second];
  }

  hid_t group_;
  Names layers_;
  std::map<std::pair<std::string, std::string>, size_t> index_;  // of `found`
};

// The list has names of layers and no classes. A name that Keras gave by itself, "multiply_3", tells the class; these matter to a head.
std::set<std::string> weightless_of(const Names& names, const std::vector<SourceLayer>& with_weights) {
  static const std::set<std::string> kTelling = {
      "multiply", "dot",         "maximum",  "minimum", "average", "attention", "global_max_pooling2d",
      "gelu",     "leaky_re_lu", "softplus", "elu",     "lambda"};
  std::set<std::string> full, classes;
  for (const SourceLayer& l : with_weights) full.insert(l.place.empty() ? l.name : l.place);
  for (const std::string& n : names) {
    const std::string kind = split_auto_name(n).kind;
    if (kTelling.contains(kind) && !full.contains(n)) classes.insert(kind);
  }
  return classes;
}

std::optional<nlohmann::json> model_config(hid_t root) {
  const std::string text = text_attribute(root, "model_config");
  if (text.empty()) return {};
  nlohmann::json config = nlohmann::json::parse(text, nullptr, false);
  if (config.is_discarded()) fail(ErrorKind::weights, "attribute 'model_config' is not valid JSON");
  return config;
}

}  // namespace

bool is_legacy(hid_t root) {
  if (hdf5::attribute(root, "layer_names") || hdf5::attribute(root, "layer_names0")) return true;
  const std::vector<hdf5::Child> list = hdf5::children(root);
  return std::any_of(list.begin(), list.end(), [](const hdf5::Child& c) { return c.name == "model_weights"; });
}

Source read_legacy(hid_t root) {
  Source s{.container = kLegacy};
  const bool whole_model = !hdf5::attribute(root, "layer_names") && !hdf5::attribute(root, "layer_names0");
  hdf5::Handle weights(H5Gopen2(root, ".", H5P_DEFAULT), H5Gclose);
  if (whole_model) {
    hdf5::Object object = hdf5::open_child(root, "model_weights");
    if (object.kind != hdf5::ObjectKind::group) fail(ErrorKind::weights, "'model_weights' is not a group");
    weights = std::move(object.handle);
    s.container = "full model .h5";
    s.config = model_config(root);
  }
  for (const hid_t at : {hid_t(weights), root}) {
    if (s.keras_version.empty()) s.keras_version = text_attribute(at, "keras_version");
    if (s.backend.empty()) s.backend = text_attribute(at, "backend");
  }
  const auto names = name_list(weights, "layer_names");
  if (!names) fail(ErrorKind::weights, "'model_weights' has no layer_names attribute: nothing would be loaded");

  const std::vector<Entry> everything = census(root).datasets;  // first of all: it refuses links
  Reader reader(weights);
  for (size_t i = 0; i < names->size(); ++i) reader.layer((*names)[i], int64_t(i));
  const std::string prefix = whole_model ? "model_weights/" : "";
  for (const Entry& e : everything) {
    if (e.path.starts_with("optimizer_weights/")) ++s.bookkeeping;
    else if (!e.path.starts_with(prefix) || !reader.listed.contains(e.path.substr(prefix.size()))) s.unlisted.push_back(e.path);
  }
  s.layers = std::move(reader.found);
  s.weightless = weightless_of(*names, s.layers);
  for (SourceLayer& l : s.layers)
    for (SourceTensor& t : l.tensors) t.path = prefix + t.path;
  return s;
}

}  // namespace ptrain::convert
