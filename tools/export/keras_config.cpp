// The configuration of a functional model, as keras.Model.to_json() spells it. Fields at their default are left out.
#include <fmt/format.h>

#include "tools/export/exports.hpp"

namespace ptrain::exports {
namespace {

using nlohmann::json;

json batch_shape(const Shape& s) {
  json shape = {nullptr};
  for (int i = 1; i < s.rank(); ++i) shape.push_back(s[i]);
  return shape;
}

const char* padding_name(Pad p) { return p == Pad::same ? "same" : "valid"; }

const char* activation_name(const LayerSpec& s) { return s.softmax ? "softmax" : s.act == Act::relu ? "relu" : "linear"; }

json l2_regularizer(double l2) {
  return {{"module", "keras.regularizers"}, {"class_name", "L2"}, {"config", {{"l2", l2}}}, {"registered_name", nullptr}};
}

void fill_convolution(const LayerSpec& s, json& c) {
  c["kernel_size"] = {s.kernel_h, s.kernel_w}, c["strides"] = {s.stride, s.stride};
  c["padding"] = padding_name(s.pad), c["use_bias"] = s.bias, c["activation"] = activation_name(s);
  if (s.type == "Conv2D") c["filters"] = s.filters;
}

void fill(const ExportModel& m, const Layer& l, json& c) {
  const LayerSpec& s = l.spec;
  if (s.type == "InputLayer") {
    c["batch_shape"] = batch_shape(l.output);
    c.erase("trainable");
  } else if (s.type == "Conv2D" || s.type == "DepthwiseConv2D") {
    fill_convolution(s, c);
  } else if (s.type == "BatchNormalization") {
    c["axis"] = -1, c["epsilon"] = s.eps, c["momentum"] = s.momentum, c["scale"] = s.gamma, c["center"] = true;
  } else if (s.type == "ReLU") {
    c["max_value"] = 6.0;
  } else if (s.type == "Activation") {
    c["activation"] = "relu";
  } else if (s.type == "ZeroPadding2D") {
    c["padding"] = {{s.padding.top, s.padding.bottom}, {s.padding.left, s.padding.right}};
  } else if (s.type == "MaxPooling2D" || s.type == "AveragePooling2D") {
    c["pool_size"] = {s.kernel_h, s.kernel_w}, c["strides"] = {s.stride, s.stride}, c["padding"] = padding_name(s.pad);
  } else if (s.type == "Concatenate") {
    c["axis"] = -1;
  } else if (s.type == "Dense") {
    c["units"] = s.units, c["use_bias"] = s.bias, c["activation"] = activation_name(s);
    if (m.l2 > 0 && s.act == Act::relu) c["kernel_regularizer"] = l2_regularizer(m.l2);
  } else if (s.type == "Dropout") {
    c["rate"] = double(std::stod(fmt::format("{}", s.rate)));  // 0.3, not 0.30000001192092896
  } else {
    REQUIRE_THAT(s.type == "Add" || s.type == "GlobalAveragePooling2D" || s.type == "Flatten", "layer '", s.name, "': no export of ",
                 s.type);
  }
}

json tensor_of(const Layer& l) {
  return {{"class_name", "__keras_tensor__"},
          {"config", {{"shape", batch_shape(l.output)}, {"dtype", "float32"}, {"keras_history", {l.spec.name, 0, 0}}}}};
}

// One call of the layer. Layers that merge take one list of tensors.
json nodes_of(const ExportModel& m, const Layer& l) {
  if (l.inputs.empty()) return json::array();
  json tensors = json::array();
  for (const int i : l.inputs) tensors.push_back(tensor_of(m.layers[size_t(i)]));
  json args = json::array();
  if (l.spec.type == "Add" || l.spec.type == "Concatenate") args.push_back(tensors);
  else args = tensors;
  return json::array({{{"args", args}, {"kwargs", json::object()}}});
}

}  // namespace

json keras_config(const ExportModel& m) {
  json layers = json::array();
  for (const Layer& l : m.layers) {
    json config{{"name", l.spec.name}, {"trainable", true}, {"dtype", "float32"}};
    fill(m, l, config);
    layers.push_back({{"module", "keras.layers"},
                      {"class_name", l.spec.type},
                      {"config", config},
                      {"registered_name", nullptr},
                      {"name", l.spec.name},
                      {"inbound_nodes", nodes_of(m, l)}});
  }
  const auto end = [](const Layer& l) { return json{l.spec.name, 0, 0}; };
  return {{"module", "keras.src.models.functional"},
          {"class_name", "Functional"},
          {"config",
           {{"name", m.name},
            {"trainable", true},
            {"layers", layers},
            {"input_layers", json::array({end(m.layers.front())})},
            {"output_layers", json::array({end(m.layers.back())})}}},
          {"registered_name", "Functional"}};
}

}  // namespace ptrain::exports
