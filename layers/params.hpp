// defines: Params, the named weights of a model
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tensor/tensor.hpp"

namespace ptrain {

enum class Kind : uint8_t { weight, statistic };  // trained by gradients, or moved by batch norm

struct Param {
  std::string layer, weight;  // Keras spelling: "block_1_expand", "kernel"
  Shape shape;
  Kind kind = Kind::weight;
  bool frozen = false;  // set for whole layers
  Tensor value;         // float32 (float64 in gradient checks); undefined until allocate()
  Tensor copy;          // of a kernel, in the type that the passes compute in, when that is another one

  std::string key() const { return layer + "/" + weight; }
  bool trainable() const { return kind == Kind::weight && !frozen; }
  const Tensor& compute() const { return copy.defined() ? copy : value; }  // what a pass uses
};

// An ordered list, in the order in which the net creates them, which is Keras' order of weights. Open while a net is built on the
// meta device, then sealed: an unknown name is an error from there on.
class Params {
 public:
  // Finds the parameter, or creates it while the list is open. The shape must be the same each time.
  Param& get(std::string_view layer, std::string_view weight, const Shape& shape, Kind kind = Kind::weight);
  const Param* find(std::string_view layer, std::string_view weight) const;  // null when there is none
  Param& at(const std::string& key);                                         // "layer/weight"; throws

  void seal() { sealed_ = true; }
  bool sealed() const { return sealed_; }
  // Gives every parameter memory there, filled with nothing yet.
  void allocate(const std::shared_ptr<Memory>& memory, DType dtype);
  // Working copies in `dtype` of the conv and dense kernels of layers for which `lower(layer)` holds; refreshed by refresh_copies() and by
  // the optimizer. float32 removes them.
  void set_compute_type(DType dtype, const std::function<bool(const std::string& layer)>& lower);
  void refresh_copies();

  // Layers for which `frozen(layer)` holds are not trained, and their batch norms use running statistics.
  void freeze(const std::function<bool(const std::string& layer)>& frozen);
  bool trainable(std::string_view layer) const;  // some weight of this layer is trained

  std::deque<Param>& list() { return list_; }
  const std::deque<Param>& list() const { return list_; }
  int64_t count(bool only_trainable = false) const;  // numbers, not tensors

 private:
  std::deque<Param> list_;  // references to its elements stay good while it grows
  std::unordered_map<std::string, size_t> index_;
  std::unordered_set<std::string> trainable_layers_;  // kept by freeze(), for trainable()
  bool sealed_ = false;
};

}  // namespace ptrain
