#include "tools/convert/model_config.hpp"

namespace ptrain::convert {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 16;

const json& at(const json& object, const char* key) {
  static const json nothing;
  return object.is_object() && object.contains(key) ? object[key] : nothing;
}

std::string text(const json& value) { return value.is_string() ? value.get<std::string>() : ""; }
double number(const json& value) { return value.is_number() ? value.get<double>() : 0; }

// A number, or a list of numbers.
std::vector<double> numbers(const json& value) {
  if (value.is_number()) return {value.get<double>()};
  std::vector<double> list;
  for (const json& v : value.is_array() ? value : json::array()) list.push_back(number(v));
  return list;
}

// "relu", or {"class_name": "function", "config": "relu"}, or {"class_name": "ReLU", …}
std::string activation_of(const json& config) {
  const json& a = at(config, "activation");
  if (a.is_string()) return text(a);
  return a.is_object() ? text(at(a, at(a, "config").is_string() ? "config" : "class_name")) : "";
}

void read_input(const json& config, ModelConfig& to) {
  const json& shape = at(config, "batch_shape").is_array() ? at(config, "batch_shape") : at(config, "batch_input_shape");
  if (to.height != 0 || !shape.is_array() || shape.size() != 4 || !shape[1].is_number_integer() || !shape[2].is_number_integer()) return;
  to.height = shape[1].get<int64_t>(), to.width = shape[2].get<int64_t>();
}

void read_layers(const json& model, ModelConfig& to, int depth) {
  const json& layers = at(at(model, "config"), "layers");
  if (!layers.is_array() || depth > kMaxDepth) return;
  for (const json& layer : layers) {
    const json& config = at(layer, "config");
    read_input(config, to);
    if (at(config, "layers").is_array()) {
      read_layers(layer, to, depth + 1);
      continue;
    }
    ConfigLayer l{.kind = text(at(layer, "class_name")), .name = text(at(config, "name")), .activation = activation_of(config)};
    if (l.kind == "Dense")
      l.units = int64_t(number(at(config, "units"))), l.l2 = number(at(at(at(config, "kernel_regularizer"), "config"), "l2"));
    if (l.kind == "Rescaling") l.scale = numbers(at(config, "scale")), l.offset = numbers(at(config, "offset"));
    if (l.kind == "Dropout") l.rate = number(at(config, "rate"));
    to.layers.push_back(std::move(l));
  }
}

}  // namespace

ModelConfig parse_config(const json& config) {
  ModelConfig c;
  read_layers(config, c, 0);
  return c;
}

}  // namespace ptrain::convert
