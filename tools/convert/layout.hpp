// defines: NetLayout, the tensors that a Keras net has, in Keras' order
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensor/shape.hpp"

namespace ptrain {
struct NetInfo;
}

namespace ptrain::convert {

struct LayoutTensor {
  std::string layer, var;  // Keras 3's names: "block_1_expand", "kernel"
  Shape shape;
};

// Layers that have weights; tensors [first, first + count) of the layout are theirs.
struct LayoutLayer {
  std::string name;
  std::string kind;  // Keras' class in the spelling of .weights.h5: conv2d depthwise_conv2d batch_normalization dense
  size_t first = 0, count = 0;
};

struct NetLayout {
  std::string net, keras_net;  // "mobilenet_v2", "MobileNetV2"
  bool top = false;            // with the ImageNet classifier
  std::vector<LayoutTensor> tensors;
  std::vector<LayoutLayer> layers;
  int64_t input_size = 0, min_size = 0;  // native, and the smallest that Keras allows
  std::string preprocessing;             // caffe, tf, torch
  int64_t features = 0;                  // channels after the base

  int find(const std::string& layer) const;  // index into layers, or -1
};

// The net is run on the meta device, so there is no second list of names that could differ from nets/.
NetLayout net_layout(const NetInfo& net, bool top);
std::vector<NetLayout> all_layouts();  // five nets, without and with top
// By ptrain's or Keras' name, in any case; Error{usage} that lists the five.
const NetLayout& find_layout(const std::vector<NetLayout>& layouts, const std::string& net);

std::string shape_text(const Shape& shape);  // "3x3x3x32"

}  // namespace ptrain::convert
