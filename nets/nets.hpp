// defines: the five nets, and the table that names them
#pragma once

#include <string>
#include <vector>

#include "kernels/augment.hpp"
#include "layers/scope.hpp"

namespace ptrain {

// Each takes preprocessed images [n, h, w, 3] and gives features [n, h', w', c]. Layer names are those of keras.applications.
Tensor vgg16(Scope&, Tensor x);
Tensor mobilenet_v2(Scope&, Tensor x);
Tensor densenet121(Scope&, Tensor x);
Tensor inception_v3(Scope&, Tensor x);
Tensor resnet50(Scope&, Tensor x);

// The ImageNet classifier on top of the features: logits [n, 1000].
Tensor vgg16_top(Scope&, Tensor features);
Tensor pooled_top(Scope&, Tensor features);        // global average pooling "avg_pool", then "predictions"
Tensor mobilenet_v2_top(Scope&, Tensor features);  // the pooling layer has no name of its own

bool is_top_layer(const std::string& layer);  // one that has weights: predictions, fc1, fc2

struct NetInfo {
  std::string name;        // mobilenet_v2
  std::string keras_name;  // MobileNetV2
  Tensor (*features)(Scope&, Tensor x);
  Tensor (*top)(Scope&, Tensor features);
  int64_t input_size;      // native height and width
  int64_t min_size;        // the smallest that Keras allows
  std::string preprocess;  // what Keras' preprocess_input does: caffe, tf or torch
};

// From grey levels 0 … 255, red, green, blue (keras/src/applications/imagenet_utils.py):
//   caffe  blue, green, red, each minus its ImageNet mean
//   tf     v / 127.5 − 1
//   torch  (v / 255 − mean) / deviation of each channel
//   rescale S O  v · S + O, as a Rescaling layer of a user's own model does; S and O are one number, or three for red, green, blue
Preprocess preprocess_of(const std::string& mode);

const std::vector<NetInfo>& net_table();
const NetInfo& find_net(const std::string& name);  // Error{usage} that lists the five names

}  // namespace ptrain
