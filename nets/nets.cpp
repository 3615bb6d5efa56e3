#include "nets/nets.hpp"

namespace ptrain {

const std::vector<NetInfo>& net_table() {
  static const std::vector<NetInfo> table = {
      {"vgg16", "VGG16", vgg16, vgg16_top, 224, 32, PreprocessMode::caffe},
      {"mobilenet_v2", "MobileNetV2", mobilenet_v2, mobilenet_v2_top, 224, 32, PreprocessMode::tf},
      {"densenet121", "DenseNet121", densenet121, pooled_top, 224, 32, PreprocessMode::torch},
      {"inception_v3", "InceptionV3", inception_v3, pooled_top, 299, 75, PreprocessMode::tf},
      {"resnet50", "ResNet50", resnet50, pooled_top, 224, 32, PreprocessMode::caffe},
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

const char* str(PreprocessMode mode) {
  switch (mode) {
    case PreprocessMode::caffe: return "caffe";
    case PreprocessMode::tf: return "tf";
    case PreprocessMode::torch: return "torch";
  }
  return "?";
}

Preprocess preprocess(PreprocessMode mode) {
  switch (mode) {
    case PreprocessMode::caffe: return {.scale = {1, 1, 1}, .shift = {-103.939f, -116.779f, -123.68f}, .bgr = true};
    case PreprocessMode::tf: return {.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -1, -1}};
    case PreprocessMode::torch: {
      constexpr float kMean[3] = {0.485f, 0.456f, 0.406f}, kDeviation[3] = {0.229f, 0.224f, 0.225f};
      Preprocess p;
      for (int c = 0; c < 3; ++c) p.scale[c] = 1 / (255 * kDeviation[c]), p.shift[c] = -kMean[c] / kDeviation[c];
      return p;
    }
  }
  fail(ErrorKind::failed, "no such preprocessing");
}

Tensor pooled_top(Scope& s, Tensor x) { return s.logits(s.global_avg_pool(x, "avg_pool"), "predictions", 1000); }

}  // namespace ptrain
