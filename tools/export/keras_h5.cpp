// The legacy .h5 of a whole model: its configuration in an attribute, and layer_names and weight_names lists below model_weights.
#include "tools/export/exports.hpp"

namespace ptrain::exports {
namespace {

// "depthwise_kernel" is called "kernel" in such files.
std::string legacy_var(const std::string& var) { return var == "depthwise_kernel" ? "kernel" : var; }

void name_origin(hid_t at) {
  set_attribute(at, "backend", "tensorflow");  // what its readers expect; the layouts are those of every backend
  set_attribute(at, "keras_version", kKerasVersion);
}

}  // namespace

void write_keras_h5(const ExportModel& m, const std::filesystem::path& to) {
  write_hdf5(to, [&](hid_t file) {
    nlohmann::json config = keras_config(m);
    for (nlohmann::json& l : config["config"]["layers"]) l.erase("module"), l.erase("registered_name");
    set_attribute(file, "model_config", nlohmann::json{{"class_name", "Functional"}, {"config", config["config"]}}.dump());
    name_origin(file);
    const hdf5::Handle weights = make_group(file, "model_weights");
    name_origin(weights);
    std::vector<std::string> layers;
    for (const Layer& l : m.layers) {
      const hdf5::Handle group = make_group(weights, l.spec.name);
      std::vector<std::string> names;
      for (const ExportWeight& w : m.weights(l)) {
        make_dataset(make_group(group, l.spec.name), legacy_var(w.var), w);
        names.push_back(l.spec.name + "/" + legacy_var(w.var));
      }
      set_attribute(group, "weight_names", names);
      layers.push_back(l.spec.name);
    }
    set_attribute(weights, "layer_names", layers);
    set_attribute(make_group(weights, "top_level_model_weights"), "weight_names", std::vector<std::string>{});
  });
}

}  // namespace ptrain::exports
