#include "train/model.hpp"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "layers/formula.hpp"
#include "layers/initialize.hpp"

namespace ptrain {
Model::Model(ModelSpec s, const std::shared_ptr<Memory>& memory, DType dtype)
    : spec(std::move(s)),
      net_(&find_net(spec.net)),
      memory_(memory) {
  if (std::min(spec.height, spec.width) < net_->min_size)
    fail(ErrorKind::usage, net_->name, " takes images of at least ", net_->min_size, "x", net_->min_size, ", not ", spec.height, "x",
         spec.width);
  layers_ = list_layers(features_of(*net_), input(1));
  params = build([this](Scope& scope, Tensor x) { return head(scope, body(scope, x)); }, input(1));
  params.allocate(memory, dtype);
}

void freeze_below(Model& model, size_t cut) {
  std::unordered_set<std::string> frozen;
  for (size_t i = 0; i < std::min(cut, model.base_layers().size()); ++i) frozen.insert(model.base_layers()[i].spec.name);
  model.params.freeze([&](const std::string& layer) { return frozen.contains(layer); });
}

size_t cut_for_top_fraction(const Model& model, double fraction) {
  if (!(fraction >= 0 && fraction <= 1)) fail(ErrorKind::usage, "the fraction of layers to train must lie in [0, 1], not ", fraction);
  return size_t((1 - fraction) * double(model.base_layers().size()));
}

void set_precision(Model& model, DType dtype) {
  model.params.set_compute_type(dtype, [](const std::string& layer) { return !is_head_layer(layer); });
}

std::vector<std::string> load_base(Model& model, const std::string& weights, uint64_t seed) {
  std::vector<std::string> left_out;
  if (weights == "none") {
    initialize(model.params, seed, [](const std::string&) { return true; });
  } else {
    if (weights == "formula" || weights.starts_with("formula:")) {
      formula_weights(model.params, model.net().keras_name, weights == "formula" ? "" : weights.substr(8));
    } else {
      const WeightFileReader file(weights);
      if (file.has_attribute("net") && file.text("net") != model.spec.net)
        fail(ErrorKind::weights, "loading ", weights, ": it holds weights of ", file.text("net"), ", ", model.spec.net, " was asked for");
      left_out = load_weights(model.params, file,
                              {.leave_out = [](const std::string& layer) { return is_top_layer(layer) || is_head_layer(layer); },
                               .leave_alone = is_head_layer,
                               .into = model.spec.net});
    }
    initialize(model.params, seed, is_head_layer);
  }
  model.params.refresh_copies();
  return left_out;
}

void write_model(const Model& model, WeightFileWriter& file) {
  const ModelSpec& s = model.spec;
  file.attribute("net", s.net);
  file.attribute("input_size", std::vector<int64_t>{s.height, s.width});
  file.attribute("preprocessing", model.preprocessing());
  file.attribute("classes", s.classes);
  file.attribute("positive_class", s.classes.at(size_t(s.positive)));
  file.attribute("head_dense", s.head.dense);
  file.attribute("head_dropout", std::vector<double>(s.head.dropout.begin(), s.head.dropout.end()));
  file.attribute("head_l2", s.head.l2);
  file.attribute("threshold", s.threshold);
  file.attribute("temperature", s.temperature);
  if (!s.operating_point.empty()) file.attribute("operating_point", s.operating_point);
  if (!s.training_priors.empty()) file.attribute("training_priors", s.training_priors);
  if (!s.priors.empty()) file.attribute("priors", s.priors);
  save_weights(model.params, file);
}

void save_model(const Model& model, const std::filesystem::path& path, const Attributes& extra) {
  WeightFileWriter file(path);
  for (const auto& [name, value] : extra)
    if (name != "operating_point" && name != "training_priors" && name != "priors") file.attribute(name, value);  // absent in some models
  write_model(model, file);  // last: what an older file said of the threshold must not win
  file.commit();
}

namespace {

// Class shares, one a class; {} when the file has none.
std::vector<double> read_shares(const WeightFileReader& file, const char* name, size_t classes) {
  const auto it = file.attributes().find(name);
  if (it == file.attributes().end()) return {};
  const auto* shares = std::get_if<std::vector<double>>(&it->second);
  double sum = 0;
  bool good = shares && shares->size() == classes;
  for (size_t c = 0; good && c < classes; ++c) good = (*shares)[c] > 0 && (*shares)[c] <= 1, sum += (*shares)[c];
  if (!good || !(std::fabs(sum - 1) <= 1e-6))
    fail(ErrorKind::weights, "the attribute '", name, "' must be ", classes, " class shares above 0 that sum to 1");
  return *shares;
}

}  // namespace

ModelSpec read_spec(const WeightFileReader& file) {
  ModelSpec s;
  s.net = file.text("net");
  if (file.has_attribute("preprocessing")) s.preprocessing = file.text("preprocessing");
  const auto list = [&]<class T>(const char* name, T) {
    const auto it = file.attributes().find(name);
    const auto* values = it == file.attributes().end() ? nullptr : std::get_if<std::vector<T>>(&it->second);
    if (!values)
      fail(ErrorKind::weights, "this model file has no attribute '", name,
           "': it holds a base without a trained head; train one with ptrain train --weights");
    return *values;
  };
  const std::vector<int64_t> size = list("input_size", int64_t{});
  if (size.size() != 2) fail(ErrorKind::weights, "the attribute 'input_size' has ", size.size(), " numbers, height and width are needed");
  s.height = size[0], s.width = size[1];
  s.head.dense = list("head_dense", int64_t{});
  const std::vector<double> dropout = list("head_dropout", double{});
  s.head.dropout.assign(dropout.begin(), dropout.end());
  s.classes = list("classes", std::string{});
  if (file.has_attribute("classes_named")) s.classes_named = file.integer("classes_named") != 0;
  s.head.classes = int64_t(s.classes.size());
  if (s.classes.size() < 2 || s.head.dense.size() != s.head.dropout.size())
    fail(ErrorKind::weights, "the attributes 'classes', 'head_dense' and 'head_dropout' do not fit together");
  if (file.has_attribute("head_l2")) s.head.l2 = file.number("head_l2");
  s.positive = int(s.classes.size()) - 1;
  if (file.has_attribute("positive_class")) {
    const auto it = std::find(s.classes.begin(), s.classes.end(), file.text("positive_class"));
    if (it == s.classes.end())
      fail(ErrorKind::weights, "the positive class '", file.text("positive_class"), "' is none of the model's classes");
    s.positive = int(it - s.classes.begin());
  }
  if (file.has_attribute("threshold")) s.threshold = file.number("threshold");
  if (file.has_attribute("temperature")) s.temperature = file.number("temperature");
  if (file.has_attribute("operating_point")) s.operating_point = file.text("operating_point");
  s.training_priors = read_shares(file, "training_priors", s.classes.size());
  s.priors = read_shares(file, "priors", s.classes.size());
  return s;
}

Model load_model(const std::filesystem::path& path, const std::shared_ptr<Memory>& memory) {
  const WeightFileReader file(path);
  Model model(read_spec(file), memory);
  load_weights(model.params, file);
  return model;
}

}  // namespace ptrain
