#include "nets/nets.hpp"

namespace ptrain {

const std::vector<NetInfo>& net_table() {
  static const std::vector<NetInfo> table = {
      {"vgg16", "VGG16", vgg16, vgg16_top, 224, 32, "caffe"},
      {"mobilenet_v2", "MobileNetV2", mobilenet_v2, mobilenet_v2_top, 224, 32, "tf"},
      {"densenet121", "DenseNet121", densenet121, pooled_top, 224, 32, "torch"},
      {"inception_v3", "InceptionV3", inception_v3, pooled_top, 299, 75, "tf"},
      {"resnet50", "ResNet50", resnet50, pooled_top, 224, 32, "caffe"},
  };
  return table;
}

const NetInfo& find_net(const std::string& name) {
  std::string known;
  for (const NetInfo& net : net_table()) {
    if (net.name == name) return net;
    known += (known.empty() ? "" : ", ") + net.name;
  }
  fail(ErrorKind::usage, "unknown net '", name, "': known are ", known);
}

Tensor pooled_top(Scope& s, Tensor x) { return s.logits(s.global_avg_pool(x, "avg_pool"), "predictions", 1000); }

}  // namespace ptrain
