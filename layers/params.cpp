#include "layers/params.hpp"

namespace ptrain {
namespace {

std::string join(std::string_view layer, std::string_view weight) {
  std::string key;
  key.reserve(layer.size() + 1 + weight.size());
  return key.append(layer).append("/").append(weight);
}

}  // namespace

Param& Params::get(std::string_view layer, std::string_view weight, const Shape& shape, Kind kind) {
  const std::string key = join(layer, weight);
  const auto it = index_.find(key);
  if (it == index_.end()) {
    REQUIRE_THAT(!sealed_, "unknown parameter '", key, "': the net was sealed with ", list_.size(), " parameters");
    index_[key] = list_.size();
    if (kind == Kind::weight) trainable_layers_.insert(std::string(layer));
    list_.push_back({.layer = std::string(layer),
                     .weight = std::string(weight),
                     .shape = shape,
                     .kind = kind,
                     .frozen = false,
                     .value = {},
                     .copy = {}});
    return list_.back();
  }
  Param& p = list_[it->second];
  REQUIRE_THAT(p.shape == shape, "parameter '", key, "' has shape ", str(p.shape), ", this call needs ", str(shape));
  return p;
}

const Param* Params::find(std::string_view layer, std::string_view weight) const {
  const auto it = index_.find(join(layer, weight));
  return it == index_.end() ? nullptr : &list_[it->second];
}

Param& Params::at(const std::string& key) {
  const auto it = index_.find(key);
  REQUIRE_THAT(it != index_.end(), "no parameter '", key, "' among ", list_.size());
  return list_[it->second];
}

void Params::allocate(const std::shared_ptr<Memory>& memory, DType dtype) {
  for (Param& p : list_) p.value = Tensor(p.shape, dtype, memory), p.copy = Tensor();
}

void Params::set_compute_type(DType dtype, const std::function<bool(const std::string&)>& lower) {
  for (Param& p : list_) {
    const bool kernel = p.kind == Kind::weight && p.shape.rank() > 1;
    p.copy = kernel && lower(p.layer) && p.value.dtype() != dtype ? p.value.cast(dtype) : Tensor();
  }
}

void Params::refresh_copies() {
  for (Param& p : list_) {
    if (!p.copy.defined()) continue;
    Backend& backend = p.value.memory()->backend();
    const auto exec = backend.make_exec(1);
    backend.cast(*exec, p.value.buffer(), p.copy.buffer());
    exec->synchronize();
  }
}

void Params::freeze(const std::function<bool(const std::string&)>& frozen) {
  trainable_layers_.clear();
  for (Param& p : list_) {
    p.frozen = frozen(p.layer);
    if (p.trainable()) trainable_layers_.insert(p.layer);
  }
}

bool Params::trainable(std::string_view layer) const { return trainable_layers_.contains(std::string(layer)); }

int64_t Params::count(bool only_trainable) const {
  int64_t n = 0;
  for (const Param& p : list_)
    if (!only_trainable || p.trainable()) n += p.shape.size();
  return n;
}

}  // namespace ptrain
