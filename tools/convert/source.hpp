// defines: Source, what a Keras file says it holds, before anybody knows which net that is; and the readers of the three containers
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "layers/hdf5.hpp"

namespace ptrain::convert {

struct SourceTensor {
  std::string name;  // as the file calls it: "kernel:0", "Conv1/kernel", "0"
  std::string path;  // of the dataset
  Shape shape;
  hdf5::Element element = hdf5::Element::other;
  bool bfloat16 = false;
};

// A layer with weights. Layers of one place and one kind are in the order of `number`; -1: the file has no order for them.
struct SourceLayer {
  std::string name;  // what the file calls it; may be empty in .weights.h5
  std::string path;  // of its group
  std::string place, kind;
  int64_t number = -1;
  std::vector<SourceTensor> tensors;
};

inline const std::string kLegacy = "legacy .h5";

struct Source {
  std::string container;  // kLegacy, "full model .h5", ".weights.h5", ".keras"
  std::string keras_version, backend;
  std::optional<nlohmann::json> config;  // of the model
  std::vector<SourceLayer> layers;
  std::set<std::string> weightless;   // classes of layers that have no weights ("multiply"), where the file lists them
  std::vector<std::string> unlisted;  // datasets that no list of weights mentions
  int64_t bookkeeping = 0;            // tensors of optimizers, and states of random generators
};

// An HDF5 file of Keras, whichever of the two containers it is. Error{weights} says what else it is.
Source read_source(hid_t file);

// Legacy: the lists layer_names and weight_names, as Keras 1 to 3 write them with save_weights("x.h5") and save("x.h5").
bool is_legacy(hid_t root);
Source read_legacy(hid_t root);
// Keras 3 (and tf.keras ≥ 2.12): a tree of groups, in each "vars" the numbered variables of one layer.
bool is_weights_h5(hid_t root);
Source read_weights_h5(hid_t root);

// What follows is for the readers.

// The class in a name that Keras gave by itself, and its number: "conv2d_5" → conv2d, 5; "conv2d" → conv2d, 0.
struct AutoName {
  std::string kind;
  int64_t number = 0;
};
AutoName split_auto_name(const std::string& name);

// Every dataset and every group of the tree below `group`, by path; refuses links, and groups that contain themselves.
struct Entry {
  std::string path;
  uint64_t address;
};
struct Census {
  std::vector<Entry> datasets;
  std::vector<std::string> groups;
};
Census census(hid_t group);
// The dataset at `path` ("a/b/c") below `group`. `bfloat16`: by the mark that Keras leaves.
SourceTensor describe_dataset(hid_t group, const std::string& path, const std::string& name);
hdf5::Object open_path(hid_t group, const std::string& path);

}  // namespace ptrain::convert
