// defines: Scope, one pass through a net: names layers, finds their parameters, decides what each composite becomes
#pragma once

#include <map>
#include <string>
#include <vector>

#include "layers/cut.hpp"
#include "layers/frozen_weights.hpp"
#include "layers/layer_spec.hpp"
#include "layers/params.hpp"
#include "tensor/ops.hpp"

namespace ptrain {

struct BnOpts {
  double eps = 1e-3, momentum = 0.99;
  bool gamma = true;
};

// A convolution with what comes before and after it. Empty names: that layer is not there.
struct ConvOpts {
  int64_t out = 0;                   // not used by depthwise convolutions
  int64_t kernel = 1, kernel_w = 0;  // kernel_w 0: square
  int64_t stride = 1;
  Pad pad = Pad::valid;
  Padding zero_pad = {};  // a ZeroPadding2D layer of its own before the convolution
  bool bias = false;
  Act act = Act::none;
  BnOpts bn = {};
  Tensor residual = {};  // added before the activation
};
struct ConvNames {
  std::string pad, conv, bn, add, act;
};

struct ConvStep {
  ConvNames names;
  ConvOpts o;
};

struct PoolOpts {
  int64_t window = 2, stride = 2;
  Pad pad = Pad::valid;
};

// Channels that grow, as in DenseNet's blocks. In a frozen pass they lie in one buffer that is as wide as the block will be: new ones are
// appended, and none is copied again.
struct Block {
  Tensor x;  // all channels so far; a shape without values while they lie in the buffer
  Tensor buffer = {};
};

struct ScopeOptions {
  bool record = false;            // gradients of the trainable parameters are wanted
  bool batch_statistics = false;  // Keras' training=True for batch norms that are not frozen
  bool dropout = false;           // drop elements
  uint64_t seed = 0;
  Tensor samples, epoch;              // for dropout: int32 [n], the manifest index of each image, and int32 [1]
  FrozenWeights* frozen = nullptr;    // where packed weights live; without it nothing is fused
  LayerObserver* observer = nullptr;  // sees every Keras layer; nothing is fused then
  NetPart part = NetPart::whole;
  const Cut* cut = nullptr;      // needed unless part is whole
  Boundary* boundary = nullptr;  // filled by the frozen part, read by the trainable part
  Cut* trace = nullptr;          // filled by a recording pass over the whole net
};

class Scope {
 public:
  Scope(Context& context, Params& params, ScopeOptions options = {}) : c_(context), params_(params), o_(std::move(options)) {}

  // Every net begins with this: Keras' InputLayer.
  Tensor input(const Tensor& x, const std::string& name = "input_layer");

  // conv.cpp: [zero padding +] convolution [+ bias] [+ batch norm] [+ residual] [+ activation]
  Tensor conv(const Tensor& x, const std::string& name, const ConvOpts&);  // bias and activation belong to the layer, as in VGG16
  Tensor conv_bn(const Tensor& x, const ConvNames&, const ConvOpts&);
  Tensor depthwise_bn(const Tensor& x, const ConvNames&, const ConvOpts&);
  Tensor bn_act(const Tensor& x, const std::string& bn, const std::string& act_name, Act, const BnOpts&);  // DenseNet's order
  // conv_bn() unless its name is empty, depthwise_bn(), conv_bn(), one after the other; one operation in a frozen pass.
  Tensor inverted_residual(const Tensor& x, const ConvStep& expand, const ConvStep& depthwise, const ConvStep& project);

  // block.cpp: what DenseNet does with x is done with a block, and concat() is append()
  Block block(const Tensor& x, int64_t width);  // width: the channels at the end
  Tensor bn_act(const Block&, const std::string& bn, const std::string& act_name, Act, const BnOpts&);
  void append(Block&, const Tensor& y, const std::string& name);

  // scope.cpp
  Tensor zero_pad(const Tensor& x, Padding, const std::string& name);
  Tensor max_pool(const Tensor& x, PoolOpts, const std::string& name);
  Tensor avg_pool(const Tensor& x, PoolOpts, const std::string& name);
  Tensor concat(const std::vector<Tensor>& xs, const std::string& name);
  Tensor global_avg_pool(const Tensor& x, const std::string& name);
  Tensor flatten(const Tensor& x, const std::string& name);
  Tensor dense(const Tensor& x, const std::string& name, int64_t units, Act = Act::none);
  Tensor logits(const Tensor& x, const std::string& name, int64_t units);  // a dense layer whose softmax is taken by the loss
  Tensor dropout(const Tensor& x, const std::string& name, float rate);

  // Keras' automatic names: conv2d, conv2d_1, conv2d_2, …
  std::string auto_name(const std::string& base);

  Context& context() { return c_; }
  const ScopeOptions& options() const { return o_; }

 private:
  // The convolution of any kind, described once for conv(), conv_bn() and depthwise_bn().
  struct Plan;
  Plan plan(const Tensor& x, const ConvNames&, const ConvOpts&, bool depthwise) const;
  struct ScaleShift {
    std::vector<double> scale, shift;
    std::pair<Tensor, Tensor> tensors(const Tensor& beside) const;  // float32, or float64 beside a tensor of that
  };
  bool frozen_whole(const Tensor& x, const Plan&, int first_step) const;  // these steps may become one operation
  FrozenWeights::Packed packed(const Tensor& x, const Plan&);
  ScaleShift scale_and_shift(const Plan&);
  ScaleShift scale_and_shift(const std::string& bn, const BnOpts&, int64_t channels, const std::vector<double>& bias);
  Tensor convolve(const Tensor& x, const Plan&);
  Tensor fused(const Tensor& x, const Plan&);
  bool joins_norm(const Tensor& x, const Plan&, int conv_step) const;
  Tensor conv_norm(const Tensor& x, const Plan&, Act);
  Tensor unfused_conv(const Tensor& x, const Plan&);
  BatchNorm batch_norm(const std::string& name, const BnOpts&, int64_t channels, Act);
  Tensor normalise(const Tensor& x, const std::string& name, const BnOpts&, Act);

  void enter(const std::string& layer) {
    c_.exec.label = layer;
    c_.tape.enter(layer);
  }
  const Tensor& weight(const std::string& layer, const char* name, const Shape& shape, Kind kind = Kind::weight);
  bool wants_grad(const Tensor& x) const { return c_.tape.wants_grad(x); }
  bool uses_batch_statistics(const std::string& bn) const { return o_.batch_statistics && params_.trainable(bn); }

  // Steps (layers/cut.hpp).
  int take_step() { return step_++; }
  bool skipped(int step) const { return o_.part != NetPart::whole && o_.cut->live.at(size_t(step)) == (o_.part == NetPart::frozen); }
  Tensor absent(int step, const Shape& shape, DType dtype) const;  // from the boundary, or a shape only
  Tensor done(int step, const Tensor& y, const std::vector<Tensor>& inputs);
  template <class F>
  Tensor step(const std::vector<Tensor>& inputs, const Shape& shape, F&& compute);  // one step that is one operation
  void tell(const LayerSpec& spec, const std::vector<Tensor>& inputs, const Tensor& y) const {
    if (o_.observer) o_.observer->layer(spec, inputs, y);
  }

  Context& c_;
  Params& params_;
  ScopeOptions o_;
  int step_ = 0;
  uint32_t dropouts_ = 0;
  std::map<std::string, int> auto_names_;
  std::unordered_map<uint64_t, int> step_of_;  // while tracing: which step made a tensor
};

template <class F>
Tensor Scope::step(const std::vector<Tensor>& inputs, const Shape& shape, F&& compute) {
  const int k = take_step();
  if (skipped(k)) return absent(k, shape, inputs.at(0).dtype());
  return done(k, compute(), inputs);
}

// What Keras' nets pad before a stride-2 convolution with a 3×3 window: (0,1) on even sizes, (1,1) on odd ones.
Padding keras_pad(const Tensor& x, int64_t kernel);

}  // namespace ptrain
