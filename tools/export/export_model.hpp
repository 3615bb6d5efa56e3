// defines: ExportModel, a model file as a list of Keras layers with their weights: what every format is written from
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "layers/weight_file.hpp"
#include "nets/build.hpp"

namespace ptrain::exports {

struct ExportWeight {
  std::string var;  // Keras 3's name: kernel, depthwise_kernel, bias, gamma, beta, moving_mean, moving_variance
  Shape shape;
  std::vector<float> values;  // Keras' layout
};

struct ExportModel {
  std::filesystem::path file;
  std::string name;  // mobilenet_v2, or mobilenet_v2_classifier
  const NetInfo* net = nullptr;
  int64_t height = 0, width = 0;
  std::string preprocessing;         // caffe, tf, torch, …
  bool scores = false;               // ends in a softmax over classes
  std::vector<std::string> classes;  // of a classifier of ours; empty for a base or an ImageNet top
  double l2 = 0;                     // of the head's dense layers with relu
  double threshold = 0.5;            // for the metadata
  std::string positive_class;
  std::vector<Layer> layers;  // in Keras' order, the input first
  Params params;

  // The weights of a layer in Keras' order. A temperature is divided out of the last layer and the
  // logarithms of changed class shares are added to its bias, so that its softmax gives the probabilities of ptrain predict.
  std::vector<ExportWeight> weights(const Layer& layer) const;

  double temperature = 1;
  std::vector<double> prior_ratios;  // of each class, new share / share in training; empty: the shares have not changed
};

// A base, a base with its ImageNet top, or a classifier. All or nothing, as everywhere: Error{weights} lists what is missing or not used.
ExportModel load_for_export(const std::filesystem::path& file);

}  // namespace ptrain::exports
