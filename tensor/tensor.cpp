#include "tensor/tensor.hpp"

#include <atomic>

namespace ptrain {

struct Tensor::Storage {
  Storage(std::shared_ptr<Memory> m, int64_t n) : memory(std::move(m)), bytes(n), data(memory->take(n)), id(next_id++) {}
  ~Storage() { memory->give_back(data, bytes); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::shared_ptr<Memory> memory;
  int64_t bytes;
  void* data;
  uint64_t id;

  inline static std::atomic<uint64_t> next_id{1};
};

Tensor::Tensor(Shape shape, DType dtype, std::shared_ptr<Memory> memory)
    : shape_(shape),
      dtype_(dtype),
      storage_(std::make_shared<Storage>(std::move(memory), shape.size() * size_of(dtype))) {}

Tensor Tensor::shape_only(Shape shape, DType dtype) {
  Tensor t;
  t.shape_ = shape;
  t.dtype_ = dtype;
  return t;
}

Tensor Tensor::from(std::span<const float> values, Shape shape, DType dtype, const std::shared_ptr<Memory>& memory) {
  Tensor t(shape, dtype, memory);
  t.upload(values);
  return t;
}

Tensor Tensor::from(std::span<const double> values, Shape shape, DType dtype, const std::shared_ptr<Memory>& memory) {
  Tensor t(shape, dtype, memory);
  t.upload(values);
  return t;
}

Device Tensor::device() const { return memory()->device(); }

const std::shared_ptr<Memory>& Tensor::memory() const {
  REQUIRE_THAT(storage_, "a tensor of shape ", str(shape_), " has no data here");
  return storage_->memory;
}

Buffer Tensor::buffer() const {
  REQUIRE_THAT(storage_, "a tensor of shape ", str(shape_), " has no data here");
  return {storage_->data, dtype_, size()};
}

Tensor Tensor::reshape(Shape shape) const {
  REQUIRE_THAT(shape.size() == size(), "reshape: ", str(shape_), " has ", size(), " elements, ", str(shape), " has ", shape.size());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::to(const std::shared_ptr<Memory>& target) const {
  if (target->device() == device()) return *this;
  REQUIRE_THAT(device().kind != DeviceKind::meta && target->device().kind != DeviceKind::meta,
               "a meta tensor has no values to copy: ", str(device()), " to ", str(target->device()));
  std::vector<char> host(size_t(size() * size_of(dtype_)));
  Backend& source = memory()->backend();
  source.download(*source.make_exec(1), buffer(), host.data());
  Tensor t(shape_, dtype_, target);
  const auto exec = target->backend().make_exec(1);
  target->backend().upload(*exec, host.data(), t.buffer());
  exec->synchronize();
  return t;
}

Tensor Tensor::cast(DType dtype) const {
  if (dtype == dtype_) return *this;
  Tensor t(shape_, dtype, memory());
  const auto exec = memory()->backend().make_exec(1);
  memory()->backend().cast(*exec, buffer(), t.buffer());
  exec->synchronize();
  return t;
}

uint64_t Tensor::id() const {
  REQUIRE_THAT(storage_, "a tensor of shape ", str(shape_), " has no data here");
  return storage_->id;
}

namespace {

template <class T, class From>
T convert(From v) {
  if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) return T(float(v));
  else return static_cast<T>(v);
}

template <class From>
void upload_as(const Tensor& tensor, std::span<const From> values) {
  REQUIRE_THAT(int64_t(values.size()) == tensor.size(), "upload: ", values.size(), " values for a tensor of shape ", str(tensor.shape()));
  std::vector<char> host(size_t(tensor.size() * size_of(tensor.dtype())));
  visit(tensor.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(host.data());
    for (size_t i = 0; i < values.size(); ++i) to[i] = convert<T>(values[i]);
  });
  Backend& backend = tensor.memory()->backend();
  const auto exec = backend.make_exec(1);
  backend.upload(*exec, host.data(), tensor.buffer());
  exec->synchronize();
}

}  // namespace

void Tensor::upload(std::span<const float> values) { upload_as(*this, values); }
void Tensor::upload(std::span<const double> values) { upload_as(*this, values); }

std::vector<double> Tensor::to_doubles() const {
  std::vector<char> host(size_t(size() * size_of(dtype_)));
  memory()->backend().download(*memory()->backend().make_exec(1), buffer(), host.data());
  std::vector<double> values(static_cast<size_t>(size()));
  visit(dtype_, [&]<class T>(T) {
    const T* from = reinterpret_cast<const T*>(host.data());
    for (size_t i = 0; i < values.size(); ++i) values[i] = double(from[i]);
  });
  return values;
}

std::vector<float> Tensor::to_floats() const {
  const std::vector<double> wide = to_doubles();
  return {wide.begin(), wide.end()};
}

float Tensor::item() const {
  REQUIRE_THAT(size() == 1, "item: the tensor has shape ", str(shape_));
  return to_floats()[0];
}

}  // namespace ptrain
