#include "nets/build.hpp"

#include <algorithm>
#include <numeric>

#include "kernels/meta/meta.hpp"

namespace ptrain {
namespace {

// One pass over a net on the meta device.
struct MetaPass {
  std::shared_ptr<Memory> memory = open_device({DeviceKind::meta});
  meta::MetaExec exec;
  Tape tape;
  Context context{memory->backend(), exec, memory, tape};

  Tensor image(const Shape& shape) { return context.tensor(shape, DType::float32); }
};

// Notes the layers as the net applies them. Tensors are known by their storage, which stays alive here so that no name is used twice.
class Recorder : public LayerObserver {
 public:
  void layer(const LayerSpec& spec, const std::vector<Tensor>& inputs, const Tensor& output) override {
    Layer l{.spec = spec, .inputs = {}, .output = output.shape()};
    for (const Tensor& x : inputs) l.inputs.push_back(made_by_.at(x.id()));
    made_by_[output.id()] = int(layers.size());
    layers.push_back(std::move(l));
  }
  std::vector<Layer> layers;

 private:
  std::unordered_map<uint64_t, int> made_by_;
};

// Keras' order: deepest first; among equals, first met in a walk from the output that goes down before it goes on.
std::vector<int> keras_order(const std::vector<Layer>& layers) {
  const int n = int(layers.size());
  std::vector<int> depth(size_t(n), 0), met(size_t(n), -1);
  for (int i = n - 1; i >= 0; --i)  // the order of application is a topological one
    for (const int in : layers[size_t(i)].inputs) depth[size_t(in)] = std::max(depth[size_t(in)], depth[size_t(i)] + 1);
  int count = 0;
  const std::function<void(int)> walk = [&](int i) {
    if (met[size_t(i)] >= 0) return;
    met[size_t(i)] = count++;
    for (const int in : layers[size_t(i)].inputs) walk(in);
  };
  walk(n - 1);
  std::vector<int> order(static_cast<size_t>(n));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int a, int b) { return std::pair(-depth[size_t(a)], met[size_t(a)]) < std::pair(-depth[size_t(b)], met[size_t(b)]); });
  return order;
}

}  // namespace

Params build(const NetFunction& net, const Shape& input) {
  MetaPass pass;
  Params params;
  Scope scope(pass.context, params);
  net(scope, pass.image(input));
  params.seal();
  return params;
}

std::vector<Layer> list_layers(const NetFunction& net, const Shape& input) {
  MetaPass pass;
  Params params;
  Recorder recorder;
  Scope scope(pass.context, params, {.observer = &recorder});
  net(scope, pass.image(input));

  std::vector<Layer>& found = recorder.layers;
  std::unordered_map<std::string, Layer*> by_name;
  for (Layer& l : found) REQUIRE_THAT(by_name.emplace(l.spec.name, &l).second, "two layers are called '", l.spec.name, "'");
  for (const Param& p : params.list()) by_name.at(p.layer)->params += p.shape.size();
  for (const meta::Cost& c : pass.exec.costs)
    if (c.macs > 0) by_name.at(c.layer)->macs += c.macs / input[0];

  const std::vector<int> order = keras_order(found);
  std::vector<int> place(order.size());
  for (size_t i = 0; i < order.size(); ++i) place[size_t(order[i])] = int(i);
  std::vector<Layer> sorted;
  for (const int i : order) {
    sorted.push_back(found[size_t(i)]);
    for (int& in : sorted.back().inputs) in = place[size_t(in)];
  }
  return sorted;
}

NetFunction features_of(const NetInfo& net) { return net.features; }

NetFunction with_top(const NetInfo& net) {
  return [&net](Scope& s, Tensor x) { return net.top(s, net.features(s, x)); };
}

}  // namespace ptrain
