// defines: Tensor
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "tensor/memory.hpp"
#include "tensor/shape.hpp"

namespace ptrain {

// A contiguous array on one device, NHWC when it has four dimensions. Copies share the data. It holds no gradient: the tape does.
class Tensor {
 public:
  Tensor() = default;                                                // undefined
  Tensor(Shape shape, DType dtype, std::shared_ptr<Memory> memory);  // uninitialised values
  // A shape without data: what a pass leaves out (layers/scope.hpp). Any use of its buffer is an error.
  static Tensor shape_only(Shape shape, DType dtype);
  static Tensor from(std::span<const float> values, Shape shape, DType dtype, const std::shared_ptr<Memory>& memory);

  static Tensor from(std::span<const double> values, Shape shape, DType dtype, const std::shared_ptr<Memory>& memory);

  bool defined() const { return shape_.rank() > 0; }
  bool has_data() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }   // {2, 224, 224, 3}
  int64_t dim(int i) const { return shape_[i]; }  // throws if there is no such dimension
  int64_t size() const { return shape_.size(); }  // number of elements
  DType dtype() const { return dtype_; }
  Device device() const;  // cpu, cuda:N, cuda-sim, reference, or meta (shape only)
  const std::shared_ptr<Memory>& memory() const;
  Buffer buffer() const;                                            // on device(); the host must not read it there when that is a GPU
  Tensor reshape(Shape shape) const;                                // the only view: same elements, same gradient
  Tensor to(const std::shared_ptr<Memory>& memory) const;           // a copy there, or itself when it is there already
  Tensor cast(DType dtype) const;                                   // a copy in another type, or itself
  uint64_t id() const;                                              // of the storage; never used twice
  bool is_sole_owner() const { return storage_.use_count() == 1; }  // no other tensor shares the data

  // Copies between the host and the tensor; sizes and types must match, floats are converted.
  void upload(std::span<const float> values);
  void upload(std::span<const double> values);
  std::vector<float> to_floats() const;
  std::vector<double> to_doubles() const;
  float item() const;  // the value of a tensor of one element

 private:
  struct Storage;
  Shape shape_;
  DType dtype_ = DType::float32;
  std::shared_ptr<Storage> storage_;
};

}  // namespace ptrain
