// .weights.h5 of Keras 3: layers/<class>_<number>/vars/<i>, numbered per class in the order of model.layers, with the name at "vars".
#include <map>

#include "tools/export/exports.hpp"

namespace ptrain::exports {
namespace {

// keras.src.utils.naming.to_snake_case: "DepthwiseConv2D" → "depthwise_conv2d", "ReLU" → "re_lu"
std::string snake_case(const std::string& name) {
  std::string text;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool upper = std::isupper(uint8_t(name[i])), after_lower = i > 0 && std::islower(uint8_t(name[i - 1]));
    const bool begins_word = i > 0 && i + 1 < name.size() && std::islower(uint8_t(name[i + 1])) && !std::isdigit(uint8_t(name[i - 1]));
    if (upper && (after_lower || begins_word)) text += '_';
    text += char(std::tolower(uint8_t(name[i])));
  }
  return text;
}

}  // namespace

void fill_weights_h5(const ExportModel& m, hid_t file) {
  const hdf5::Handle layers = make_group(file, "layers"), own = make_group(file, "vars");
  set_attribute(own, "name", m.name);
  std::map<std::string, int> numbers;
  for (const Layer& l : m.layers) {
    const std::string kind = snake_case(l.spec.type);
    const int number = numbers[kind]++;
    const hdf5::Handle group = make_group(layers, number == 0 ? kind : concat(kind, "_", number)), vars = make_group(group, "vars");
    set_attribute(vars, "name", l.spec.name);
    int i = 0;
    for (const ExportWeight& w : m.weights(l)) make_dataset(vars, std::to_string(i++), w);
  }
}

void write_keras_weights(const ExportModel& m, const std::filesystem::path& to) {
  write_hdf5(to, [&](hid_t file) { fill_weights_h5(m, file); });
}

}  // namespace ptrain::exports
