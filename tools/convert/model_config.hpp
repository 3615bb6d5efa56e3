// defines: ModelConfig, what a Keras configuration says about the layers around a base
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace ptrain::convert {

struct ConfigLayer {
  std::string kind, name;                       // Keras' class; the layer's name
  std::string activation;                       // of Dense and Activation; "" when there is none
  int64_t units = 0;                            // Dense
  double rate = 0, l2 = 0;                      // Dropout; kernel regularizer of Dense
  std::vector<double> scale = {}, offset = {};  // Rescaling: one number, or one for each channel
};

struct ModelConfig {
  std::vector<ConfigLayer> layers;  // nested models unfolded, in order
  int64_t height = 0, width = 0;    // of the first input; 0 when open
};

// Never throws: a configuration is a hint, the weights are the truth. An unknown structure gives no layers.
ModelConfig parse_config(const nlohmann::json& config);

}  // namespace ptrain::convert
