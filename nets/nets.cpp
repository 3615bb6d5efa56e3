#include "nets/nets.hpp"

#include <algorithm>
#include <cmath>
#include <ranges>
#include <sstream>

#include <fmt/ranges.h>

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
  for (const NetInfo& net : net_table())
    if (net.name == name) return net;
  fail(ErrorKind::usage, "unknown net '", name, "': known are ",
       fmt::format("{}", fmt::join(net_table() | std::views::transform(&NetInfo::name), ", ")));
}

Preprocess preprocess_of(const std::string& mode) {
  if (mode == "caffe") return {.scale = {1, 1, 1}, .shift = {-103.939f, -116.779f, -123.68f}, .bgr = true};
  if (mode == "tf") return {.scale = {1 / 127.5f, 1 / 127.5f, 1 / 127.5f}, .shift = {-1, -1, -1}};
  if (mode == "torch") {
    constexpr double kMean[3] = {0.485, 0.456, 0.406}, kDeviation[3] = {0.229, 0.224, 0.225};
    Preprocess p;
    for (int c = 0; c < 3; ++c) p.scale[c] = float(1 / (255 * kDeviation[c])), p.shift[c] = float(-kMean[c] / kDeviation[c]);
    return p;
  }
  if (mode.starts_with("rescale ")) {
    std::istringstream in(mode.substr(8));
    std::vector<float> v;
    for (float number; in >> number;) v.push_back(number);
    const size_t each = v.size() / 2;
    if (in.eof() && (v.size() == 2 || v.size() == 6) && std::all_of(v.begin(), v.end(), [](float x) { return std::isfinite(x); })) {
      Preprocess p;
      for (size_t c = 0; c < 3; ++c) p.scale[c] = v[c % each], p.shift[c] = v[each + c % each];
      return p;
    }
  }
  fail(ErrorKind::weights, "no preprocessing is called '", mode, "'; there are caffe, tf, torch, 'rescale S O'");
}

bool is_top_layer(const std::string& layer) { return layer == "predictions" || layer == "fc1" || layer == "fc2"; }

Tensor pooled_top(Scope& s, Tensor x) { return s.logits(s.global_avg_pool(x, "avg_pool"), "predictions", 1000); }

}  // namespace ptrain
