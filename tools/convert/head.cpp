#include "tools/convert/head.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "nets/nets.hpp"
#include "tools/convert/model_config.hpp"

namespace ptrain::convert {
namespace {

constexpr size_t kMaxDense = 64;

std::string label(const SourceLayer& l) { return l.name.empty() ? l.path : l.name; }

// A layer with a kernel [in, out] and a bias [out], and nothing else.
std::optional<Head::Dense> as_dense(const Source& source, int index) {
  const SourceLayer& l = source.layers[size_t(index)];
  if (l.tensors.size() != 2) return {};
  const int kernel = l.tensors[0].shape.rank() == 2 ? 0 : 1;
  const Shape &k = l.tensors[size_t(kernel)].shape, &b = l.tensors[size_t(1 - kernel)].shape;
  if (k.rank() != 2 || b != Shape{k[1]}) return {};
  const auto named = [&](int tensor, const char* number, const char* name) {
    const std::string v = bare_variable(l.tensors[size_t(tensor)].name);
    return v == number || v == name || v.ends_with(name == std::string("kernel") ? "_W" : "_b");
  };
  if (!named(kernel, "0", "kernel") || !named(1 - kernel, "1", "bias")) return {};
  return Head::Dense{index, kernel, 1 - kernel, k[0], k[1]};
}

// The dense layers as a chain that begins at the base's features. Where two could follow, the file's order or the numbers in names decide.
std::string chain(std::vector<Head::Dense>& dense, int64_t features, const Source& source) {
  const auto rank = [&](const Head::Dense& d) {
    const SourceLayer& l = source.layers[size_t(d.layer)];
    const size_t digits = l.name.find_last_not_of("0123456789");
    const bool numbered = digits != std::string::npos && digits + 1 < l.name.size() && l.name.size() - digits < 9;
    return std::tuple(l.place, l.kind, l.number, numbered ? std::stoll(l.name.substr(digits + 1)) : 0LL);
  };
  std::stable_sort(dense.begin(), dense.end(), [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
  const auto linked = [&] {
    int64_t width = features;
    for (const Head::Dense& d : dense) {
      if (d.inputs != width) return false;
      width = d.units;
    }
    return true;
  };
  if (linked()) return "";
  std::vector<Head::Dense> left = std::move(dense);
  dense.clear();
  for (int64_t width = features; !left.empty(); width = dense.back().units) {
    const auto fits = [&](const Head::Dense& d) { return d.inputs == width; };
    const auto next = std::find_if(left.begin(), left.end(), fits);
    if (next == left.end())
      return concat("no dense layer takes the ", width,
                    dense.empty() ? " features of the base after global pooling" : " outputs of the one before", "; ",
                    label(source.layers[size_t(left.front().layer)]), " takes ", left.front().inputs);
    if (std::count_if(left.begin(), left.end(), fits) > 1)
      return concat("several dense layers take ", width, " inputs and the file does not say which comes first");
    dense.push_back(*next);
    left.erase(next);
  }
  return "";
}

// What the configuration says about the layers after the base. "" when it is a head that ptrain can rebuild.
std::string check_config(const ModelConfig& config, Head& head, std::vector<std::string>& notes) {
  static const std::set<std::string> kHarmless = {"Dense",      "Dropout",    "Flatten", "GlobalAveragePooling2D",
                                                  "InputLayer", "Activation", "Softmax", "ReLU"};
  size_t pooling = config.layers.size();
  for (size_t i = 0; i < config.layers.size(); ++i) {
    if (config.layers[i].kind == "GlobalMaxPooling2D")
      return "it pools by the maximum ('" + config.layers[i].name + "'); ptrain's heads take the mean";
    if (config.layers[i].kind == "GlobalAveragePooling2D" && pooling == config.layers.size()) pooling = i;
  }
  if (pooling == config.layers.size()) return "the configuration has no GlobalAveragePooling2D layer";
  std::vector<const ConfigLayer*> dense;
  std::vector<std::string> activations;
  for (size_t i = pooling; i < config.layers.size(); ++i) {
    const ConfigLayer& l = config.layers[i];
    if (!kHarmless.contains(l.kind))
      return concat("it has a layer '", l.name, "' of class ", l.kind, "; known are dense, dropout and softmax");
    if (l.kind == "Dense") {
      dense.push_back(&l), activations.push_back(l.activation == "linear" ? "" : l.activation);
      if (dense.size() < head.dense.size()) head.dropout.push_back(0);
    } else if (l.kind == "Dropout" && !dense.empty() && dense.size() < head.dense.size()) {
      head.dropout.back() = l.rate;
    } else if (l.kind == "Dropout") {
      notes.push_back("dropout '" + l.name + "' before the first dense layer is left out; it matters in training only");
    } else if (l.kind == "Activation" || l.kind == "Softmax" || l.kind == "ReLU") {
      const std::string a = l.kind == "Softmax" ? "softmax" : l.kind == "ReLU" ? "relu" : l.activation;
      if (activations.empty() || !activations.back().empty()) return concat("an activation '", a, "' that belongs to no dense layer");
      activations.back() = a;
    }
  }
  if (dense.size() != head.dense.size())
    return concat("the configuration has ", dense.size(), " dense layers after the pooling, the weights ", head.dense.size());
  for (size_t i = 0; i < dense.size(); ++i) {
    const bool last = i + 1 == dense.size();
    const std::string& a = activations[i];
    if (dense[i]->units != head.dense[i].units)
      return concat("'", dense[i]->name, "' has ", dense[i]->units, " units in the configuration, ", head.dense[i].units,
                    " in the weights");
    if (!last && a != "relu")
      return concat("'", dense[i]->name, "' has the activation '", a.empty() ? "linear" : a, "'; ptrain's heads use relu");
    if (last && a == "softmax" && head.dense[i].units == 1) return concat("'", dense[i]->name, "' is a softmax over one output");
    if (last && a == "sigmoid" && head.dense[i].units != 1)
      return concat("'", dense[i]->name, "' has ", head.dense[i].units, " sigmoid outputs: not one class of several");
    if (last && a != "softmax" && a != "sigmoid" && !a.empty())
      return concat("'", dense[i]->name, "' has the activation '", a, "'; softmax is wanted");
    if (last && a.empty()) notes.push_back("'" + dense[i]->name + "' gives logits; their softmax is taken");
  }
  head.l2 = dense.front()->l2;
  head.from_config = true;
  return "";
}

// The classes of layers without weights are all that a file without configuration says about them. "" when each may stand in one of the
// nets, in a head that ptrain can rebuild, or before the base.
std::string check_weightless(const std::set<std::string>& classes, std::vector<std::string>& notes) {
  static const std::set<std::string> kBase = {"input_layer", "zero_padding2d", "activation",    "re_lu",
                                              "add",         "concatenate",    "max_pooling2d", "average_pooling2d"},
                                     kHead = {"global_average_pooling2d", "flatten", "dropout", "softmax"},
                                     kBefore = {"rescaling", "resizing", "center_crop", "true_divide", "subtract", "get_item"};
  std::string before;
  for (const std::string& c : classes) {
    if (kBase.contains(c) || kHead.contains(c)) continue;
    if (!kBefore.contains(c) && !c.starts_with("random_"))
      return concat("it has a layer of class ", c,
                    ", and the file has no configuration that says where; known are dense, dropout and softmax");
    if (!c.starts_with("random_")) before += (before.empty() ? "" : ", ") + c;
  }
  if (!before.empty())
    notes.push_back("layers before the base are left out: " + before +
                    "; the file has no configuration that says what they do to the images. Say it with --preprocessing");
  return "";
}

// "rescale S O" when the one layer that changes pixels before the base is a Rescaling that the net's own preprocessing is not; else "".
std::string rescaling_of(const ConfigLayer& l, const NetLayout& net) {
  if ((l.scale.size() != 1 && l.scale.size() != 3) || (l.offset.size() != 1 && l.offset.size() != 3)) return "";
  const Preprocess own = preprocess_of(net.preprocessing);
  std::string scale, offset;
  bool same = !own.bgr;
  for (size_t c = 0; c < 3; ++c) {
    const double s = l.scale[c % l.scale.size()], o = l.offset[c % l.offset.size()];
    same = same && std::fabs(s - own.scale[c]) <= 1e-6 * std::fabs(s) && std::fabs(o - own.shift[c]) <= 1e-6;
    scale += fmt::format(" {}", float(s)), offset += fmt::format(" {}", float(o));
  }
  return same ? "" : "rescale" + scale + offset;
}

// What the model does with its images before the base.
void read_preprocessing(const ModelConfig& config, const NetLayout& net, HeadSearch& s) {
  std::string own;
  const ConfigLayer* rescaling = nullptr;
  for (const ConfigLayer& l : config.layers) {
    if (net.find(l.name) >= 0 || l.kind == "Conv2D") break;
    if (l.kind == "InputLayer" || l.kind == "ZeroPadding2D" || l.kind.starts_with("Random") || l.kind.empty()) continue;
    if (l.kind == "Rescaling" && !rescaling && own.empty()) rescaling = &l;
    else own += (own.empty() ? "" : ", ") + l.kind + " '" + l.name + "'";
  }
  if (rescaling && own.empty()) {
    s.preprocessing = rescaling_of(*rescaling, net);
    if (!s.preprocessing.empty())
      s.notes.push_back("images are prepared as the layer '" + rescaling->name + "' does it, and not as " + net.keras_net +
                        " wants them (" + net.preprocessing + ")");
    return;
  }
  if (rescaling) own = "Rescaling '" + rescaling->name + "', " + own;
  if (!own.empty())
    s.notes.push_back("layers before the base are left out: " + own + ". ptrain prepares images as " + net.keras_net + " wants them (" +
                      net.preprocessing + "); where these layers do something else, say so with --preprocessing");
}

}  // namespace

HeadSearch find_head(const Match& match, const Source& source) {
  HeadSearch s;
  const NetLayout& net = *match.layout;
  const ModelConfig config = source.config ? parse_config(*source.config) : ModelConfig{};
  if (config.height >= net.min_size && config.width >= net.min_size) s.height = config.height, s.width = config.width;
  if (!config.layers.empty()) read_preprocessing(config, net, s);
  if (net.top) return s;

  Head head;
  for (size_t i = 0; i < source.layers.size(); ++i)
    if (!match.used[i])
      if (const auto dense = as_dense(source, int(i))) head.dense.push_back(*dense);
  if (head.dense.empty() || head.dense.size() > kMaxDense) return s;
  s.why_not = chain(head.dense, net.features, source);
  if (s.why_not.empty())
    s.why_not = config.layers.empty() ? check_weightless(source.weightless, s.notes) : check_config(config, head, s.notes);
  if (!s.why_not.empty()) return s;
  if (!head.from_config) {
    head.dropout.assign(head.dense.size() - 1, 0);
    s.notes.push_back(
        "the file has no configuration: global average pooling, relu between the dense layers and softmax at the end are assumed");
  }
  head.sigmoid = head.dense.back().units == 1;
  if (head.sigmoid) s.notes.push_back("the one sigmoid output becomes two classes, with the same probabilities");
  s.head = std::move(head);
  return s;
}

}  // namespace ptrain::convert
