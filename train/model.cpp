#include "train/model.hpp"

#include "layers/formula.hpp"
#include "layers/initialize.hpp"

namespace ptrain {
namespace {

constexpr int64_t kFormat = 1;  // of the model file

// The ImageNet top of any of the five nets; a new head takes its place.
bool is_top_layer(const std::string& layer) { return layer == "predictions" || layer == "fc1" || layer == "fc2"; }

}  // namespace

Model::Model(ModelSpec s, const std::shared_ptr<Memory>& memory, DType dtype) : spec(std::move(s)), net_(&find_net(spec.net)), memory_(memory) {
  if (std::min(spec.height, spec.width) < net_->min_size)
    fail(ErrorKind::usage, net_->name, " takes images of at least ", net_->min_size, "x", net_->min_size, ", not ", spec.height, "x", spec.width);
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
      left_out = load_weights(model.params, file, {.leave_out = [](const std::string& layer) { return is_top_layer(layer) || is_head_layer(layer); }, .leave_alone = is_head_layer});
    }
    initialize(model.params, seed, is_head_layer);
  }
  model.params.refresh_copies();
  return left_out;
}

void write_model(const Model& model, WeightFileWriter& file) {
  const ModelSpec& s = model.spec;
  file.attribute("format_version", kFormat);
  file.attribute("net", s.net);
  file.attribute("input_size", std::vector<int64_t>{s.height, s.width});
  file.attribute("preprocessing", model.net().preprocess);
  file.attribute("classes", s.classes);
  file.attribute("positive_class", s.classes.at(size_t(s.positive)));
  file.attribute("head_dense", s.head.dense);
  file.attribute("head_dropout", std::vector<double>(s.head.dropout.begin(), s.head.dropout.end()));
  file.attribute("head_l2", s.head.l2);
  file.attribute("threshold", s.threshold);
  file.attribute("temperature", s.temperature);
  save_weights(model.params, file);
}

void save_model(const Model& model, const std::filesystem::path& path, const Attributes& extra) {
  WeightFileWriter file(path);
  write_model(model, file);
  for (const auto& [name, value] : extra) file.attribute(name, value);
  file.commit();
}

Model load_model(const std::filesystem::path& path, const std::shared_ptr<Memory>& memory) {
  const WeightFileReader file(path);
  Model model(read_spec(file), memory);
  load_weights(model.params, file);
  return model;
}

}  // namespace ptrain
