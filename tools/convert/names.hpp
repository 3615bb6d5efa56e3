// defines: Naming, one way in which files have called the layers and variables of a net
#pragma once

#include <string>
#include <vector>

#include "tools/convert/layout.hpp"
#include "tools/convert/source.hpp"

namespace ptrain::convert {

struct Naming {
  const char* title;      // for the report
  const char* keras_net;  // the only net that has such names; "" when any may have
  bool in_order;          // such files list the layers in Keras' order
  // For each layer of the source Keras 3's name of it in the layout, or "".
  std::vector<std::string> (*layers)(const NetLayout&, const std::vector<SourceLayer>&);
  // Keras 3's name of tensor `index` of that layer ("depthwise_kernel"), or "".
  std::string (*variable)(const NetLayout&, const LayoutLayer&, const SourceLayer&, size_t index);
};

// One file of code each.
extern const Naming kKerasNames;           // Keras 2 (kernel:0) and 3: the layer names of keras.applications
extern const Naming kVgg16Official;        // block1_conv1_W_1:0
extern const Naming kMobileNetV2Official;  // mobl1_conv_1_expand, bn1_conv_1_bn_expand
extern const Naming kDenseNet121Official;  // conv1/bn
extern const Naming kInceptionV3Numbers;   // conv2d_1 … conv2d_94, or any other 94 numbers
extern const Naming kResNet50V02;          // res2a_branch2a, of 2016
extern const Naming kClassNumbers;         // .weights.h5 without names: conv2d_5 is the sixth Conv2D
const std::vector<const Naming*>& all_namings();

// What the files above share.

// A rule for one name at a time.
template <class Rule>
std::vector<std::string> by_rule(const NetLayout& net, const std::vector<SourceLayer>& layers, Rule&& rule) {
  std::vector<std::string> names;
  for (const SourceLayer& l : layers) {
    std::string name = rule(l.name);
    names.push_back(net.find(name) >= 0 ? std::move(name) : "");
  }
  return names;
}
// Sources that belong to one sequence of the layout, each in its order: finds the only place where all shapes agree.
void align(const NetLayout& net, const std::vector<const LayoutLayer*>& wanted, const std::vector<size_t>& found,
           const std::vector<SourceLayer>& layers, std::vector<std::string>& names);
// "kernel_1:0" → "kernel": without the output number and the number that TensorFlow adds.
std::string bare_variable(const std::string& name);
// "a/b/c" → "c"
std::string last_part(const std::string& path);
// kernel bias gamma beta moving_mean moving_variance, as Keras has called them since version 2; by position in .weights.h5.
std::string keras_variable(const NetLayout&, const LayoutLayer&, const SourceLayer&, size_t index);

}  // namespace ptrain::convert
