#include "train/explain/grad_cam.hpp"

#include <algorithm>

namespace ptrain {
namespace {

// Asks for the gradient of one layer's output. Nothing before it is recorded.
class Watcher : public LayerObserver {
 public:
  Watcher(Tape& tape, const std::string& name) : tape_(tape), name_(name) {}
  void layer(const LayerSpec& spec, const std::vector<Tensor>&, const Tensor& y) override {
    if (spec.name != name_) return;
    tape_.watch(y);
    output = y;
  }
  Tensor output;

 private:
  Tape& tape_;
  const std::string& name_;
};

}  // namespace

GradCam::GradCam(Model& model, std::string layer) : model_(model), layer_(std::move(layer)) {
  const std::vector<Layer>& layers = model.base_layers();
  if (layer_.empty()) layer_ = layers.back().spec.name;
  last_ = layer_ == layers.back().spec.name;
  const auto it = std::find_if(layers.begin(), layers.end(), [&](const Layer& l) { return l.spec.name == layer_; });
  if (it == layers.end() || it->spec.type == "InputLayer" || it->output.rank() != 4)
    fail(ErrorKind::usage, "--layer ", layer_, ": ", model.spec.net, " has no such layer with a height and a width\n  ptrain nets --net ",
         model.spec.net, " --layers lists them");
}

GradCam::Result GradCam::operator()(Exec& exec, const Tensor& x, const ChooseClass& choose) const {
  REQUIRE_THAT(x.shape() == model_.input(1), "Grad-CAM: one image of shape ", str(model_.input(1)), " is needed, not ", str(x.shape()));
  Tape tape;
  Context c{model_.memory()->backend(), exec, model_.memory(), tape};
  Watcher watcher(tape, layer_);
  ScopeOptions options;
  if (last_) options.frozen = &packed_;
  else options.observer = &watcher;
  Scope scope(c, model_.params, options);
  const Tensor features = model_.net().features(scope, x);
  if (last_) {
    tape.watch(features);
    watcher.output = features;
  }
  const Tensor logits = model_.head(scope, scope.global_avg_pool(features, "gap"));
  REQUIRE_THAT(watcher.output.defined() && tape.wants_grad(logits), "Grad-CAM: the scores do not depend on the layer '", layer_, "'");

  Result result{.map = {}, .of_class = 0, .logits = logits.to_doubles(), .weights = {}};
  result.of_class = choose(result.logits);
  std::vector<double> one(result.logits.size());
  one.at(size_t(result.of_class)) = 1;
  tape.backward(c, logits, Tensor::from(one, logits.shape(), logits.dtype(), model_.memory()));

  const Tensor& a = watcher.output;
  const int64_t h = a.dim(1), w = a.dim(2), channels = a.dim(3);
  const std::vector<double> activation = a.to_doubles(), slope = tape.grad(a).to_doubles();
  result.weights.assign(size_t(channels), 0);
  for (size_t i = 0; i < slope.size(); ++i) result.weights[i % size_t(channels)] += slope[i];
  for (double& weight : result.weights) weight /= double(h * w);
  result.map = {h, w, std::vector<double>(size_t(h * w))};
  for (size_t i = 0; i < result.map.values.size(); ++i) {
    double sum = 0;
    for (size_t k = 0; k < size_t(channels); ++k) sum += result.weights[k] * activation[i * size_t(channels) + k];
    result.map.values[i] = std::max(0.0, sum);
  }
  return result;
}

}  // namespace ptrain
