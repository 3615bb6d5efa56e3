// defines: build() and list_layers(): what a net is made of, found by running it on the meta device
#pragma once

#include <functional>

#include "nets/nets.hpp"

namespace ptrain {

using NetFunction = std::function<Tensor(Scope&, Tensor)>;

// One layer as Keras lists it.
struct Layer {
  LayerSpec spec;
  std::vector<int> inputs;  // indices into the list
  Shape output;             // with the batch size of the pass
  int64_t params = 0;       // numbers, statistics included
  int64_t macs = 0;         // multiply-adds of one image
};

// The parameters that `net` creates, sealed and without values.
Params build(const NetFunction& net, const Shape& input);

// The layers in the order of Keras' model.layers, which "top 30 %" and "freeze until" count in: by depth below the outputs,
// then in the order in which a walk from the output meets them. Source: keras/src/ops/function.py, map_graph.
std::vector<Layer> list_layers(const NetFunction& net, const Shape& input);

// The net without and with its ImageNet top, as functions.
NetFunction features_of(const NetInfo& net);
NetFunction with_top(const NetInfo& net);

}  // namespace ptrain
