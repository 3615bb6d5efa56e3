// ONNX, opset 17: images [n, height, width, 3] of red, green, blue from 0 to 255 → probabilities [n, classes], or features of a base in
// Keras' layout. Inside channels come first, as ONNX wants them. The net's preprocessing is the model's first nodes.
#include <algorithm>

#include "data/file.hpp"
#include "tools/export/exports.hpp"
#include "tools/export/onnx_graph.hpp"

namespace ptrain::exports {
namespace {

using Attributes = std::map<std::string, OnnxAttribute>;
using Ints = std::vector<int64_t>;

// Kernels [h, w, in, out] → [out, in, h, w]; depthwise ones [h, w, c, 1] → [c, 1, h, w].
ExportWeight channels_first(const ExportWeight& w, bool depthwise) {
  const int64_t h = w.shape[0], v = w.shape[1], in = depthwise ? 1 : w.shape[2], out = depthwise ? w.shape[2] : w.shape[3];
  ExportWeight t{w.var, {out, in, h, v}, std::vector<float>(w.values.size())};
  for (int64_t y = 0; y < h * v; ++y)
    for (int64_t i = 0; i < in; ++i)
      for (int64_t o = 0; o < out; ++o) t.values[size_t((o * in + i) * h * v + y)] = w.values[size_t((y * in + i) * out + o)];
  return t;
}

class Builder {
 public:
  explicit Builder(const ExportModel& m) : m_(m) {}

  void build() {
    for (const Layer& l : m_.layers) names_.push_back(layer(l));
    const Layer& last = m_.layers.back();
    if (m_.scores) {
      graph_.node("Softmax", "probabilities", {names_.back()}, {{"axis", int64_t(-1)}});
      graph_.output("probabilities", {0, last.output[1]});
    } else {
      graph_.node("Transpose", "features", {names_.back()}, {{"perm", Ints{0, 2, 3, 1}}});
      graph_.output("features", {0, last.output[1], last.output[2], last.output[3]});
    }
  }
  const OnnxGraph& graph() const { return graph_; }

 private:
  std::string layer(const Layer& l) {
    const LayerSpec& s = l.spec;
    std::vector<std::string> x;
    for (const int i : l.inputs) x.push_back(names_[size_t(i)]);
    if (s.type == "InputLayer") return images();
    if (s.type == "ZeroPadding2D") {
      const Padding& p = s.padding;
      return graph_.node("Pad", s.name, {x[0], graph_.constant(s.name + "/pads", {0, 0, p.top, p.left, 0, 0, p.bottom, p.right})});
    }
    if (s.type == "Conv2D" || s.type == "DepthwiseConv2D") return convolution(l, x[0]);
    if (s.type == "BatchNormalization") return batch_norm(l, x[0]);
    if (s.type == "ReLU") return graph_.node("Clip", s.name, {x[0], limit("zero", 0), limit("six", 6)});
    if (s.type == "Activation") return graph_.node("Relu", s.name, x);
    if (s.type == "Add") return graph_.node("Add", s.name, x);
    if (s.type == "Concatenate") return graph_.node("Concat", s.name, x, {{"axis", int64_t(1)}});
    if (s.type == "MaxPooling2D") return graph_.node("MaxPool", s.name, x, window(s));
    if (s.type == "AveragePooling2D")
      return graph_.node("AveragePool", s.name, x, window(s));  // padding is left out of the mean, as in Keras
    if (s.type == "GlobalAveragePooling2D") return graph_.node("ReduceMean", s.name, x, {{"axes", Ints{2, 3}}, {"keepdims", int64_t(0)}});
    if (s.type == "Flatten") {
      const std::string last = graph_.node("Transpose", s.name + "/channels_last", x, {{"perm", Ints{0, 2, 3, 1}}});
      return graph_.node("Flatten", s.name, {last}, {{"axis", int64_t(1)}});
    }
    if (s.type == "Dense") return dense(l, x[0]);
    REQUIRE_THAT(s.type == "Dropout", "layer '", s.name, "': no export of ", s.type);
    return x[0];
  }

  std::string images() {
    const Preprocess p = preprocess_of(m_.preprocessing);
    graph_.input("images", {0, m_.height, m_.width, 3});
    std::string x = graph_.node("Transpose", "images/channels_first", {"images"}, {{"perm", Ints{0, 3, 1, 2}}});
    if (p.bgr) x = graph_.node("Gather", "images/bgr", {x, graph_.constant("images/order", {2, 1, 0})}, {{"axis", int64_t(1)}});
    const auto values = [&](const char* name, const float* v) { return graph_.constant(name, {1, 3, 1, 1}, std::vector<float>(v, v + 3)); };
    x = graph_.node("Mul", "images/scaled", {x, values("images/scale", p.scale)});
    return graph_.node("Add", "images/preprocessed", {x, values("images/shift", p.shift)});
  }

  static Attributes window(const LayerSpec& s) {
    Attributes a{{"kernel_shape", Ints{s.kernel_h, s.kernel_w}}, {"strides", Ints{s.stride, s.stride}}};
    if (s.pad == Pad::same) a["auto_pad"] = std::string("SAME_UPPER");  // the rule of Keras' "same"
    return a;
  }

  // Weight number `i` of the layer, read when it is written; `change` makes another layout of it.
  std::string weight(const Layer& l, size_t i, const Shape& shape, std::function<ExportWeight(ExportWeight)> change = {}) {
    const ExportModel& m = m_;
    return graph_.weight(concat(l.spec.name, "/", vars(l)[i]), shape, [&m, &l, i, change] {
      ExportWeight w = m.weights(l).at(i);
      return change ? change(std::move(w)).values : std::move(w.values);
    });
  }
  std::vector<std::string> vars(const Layer& l) const {
    std::vector<std::string> list;
    for (const Param& p : m_.params.list())
      if (p.layer == l.spec.name) list.push_back(p.weight);
    return list;
  }

  std::string activated(const LayerSpec& s, const std::string& x) { return s.act == Act::relu ? graph_.node("Relu", s.name, {x}) : x; }
  static std::string before_activation(const LayerSpec& s) { return s.act == Act::relu ? s.name + "/linear" : s.name; }

  std::string convolution(const Layer& l, const std::string& x) {
    const LayerSpec& s = l.spec;
    const bool depthwise = s.type == "DepthwiseConv2D";
    const int64_t in = m_.layers[size_t(l.inputs[0])].output[3], out = l.output[3];
    Attributes a = window(s);
    if (depthwise) a["group"] = in;
    const Shape kernel{out, depthwise ? 1 : in, s.kernel_h, s.kernel_w};
    OnnxGraph::Names inputs{x, weight(l, 0, kernel, [depthwise](const ExportWeight& w) { return channels_first(w, depthwise); })};
    if (s.bias) inputs.push_back(weight(l, 1, {out}));
    return activated(s, graph_.node("Conv", before_activation(s), inputs, a));
  }

  std::string batch_norm(const Layer& l, const std::string& x) {
    const LayerSpec& s = l.spec;
    const Shape channels{l.output[3]};
    OnnxGraph::Names inputs{x};
    if (!s.gamma) inputs.push_back(graph_.constant(s.name + "/gamma", channels, std::vector<float>(size_t(channels[0]), 1)));
    for (size_t i = 0; i < (s.gamma ? 4u : 3u); ++i) inputs.push_back(weight(l, i, channels));
    return graph_.node("BatchNormalization", s.name, inputs, {{"epsilon", float(s.eps)}});
  }

  std::string dense(const Layer& l, const std::string& x) {
    const LayerSpec& s = l.spec;
    const int64_t in = m_.layers[size_t(l.inputs[0])].output[1];
    return activated(s, graph_.node("Gemm", before_activation(s), {x, weight(l, 0, {in, s.units}), weight(l, 1, {s.units})}));
  }

  std::string limit(const std::string& name, float value) {
    if (std::find(limits_.begin(), limits_.end(), name) != limits_.end()) return name;
    limits_.push_back(name);
    return graph_.constant(name, Shape{}, {value});
  }

  const ExportModel& m_;
  OnnxGraph graph_;
  std::vector<std::string> names_, limits_;
};

}  // namespace

void write_onnx(const ExportModel& m, const std::filesystem::path& to) {
  Builder builder(m);
  builder.build();
  std::map<std::string, std::string> metadata{{"net", m.net->name}, {"input", "red, green, blue, 0 to 255; preprocessing is inside"}};
  if (!m.classes.empty()) {
    metadata["classes"] = nlohmann::json(m.classes).dump();
    metadata["positive_class"] = m.positive_class;
    metadata["threshold"] = nlohmann::json(m.threshold).dump();
  }
  AtomicFile file(to);
  builder.graph().write(m.name, metadata, [&](std::string_view bytes) { file.write(bytes); });
  file.commit();
}

}  // namespace ptrain::exports
