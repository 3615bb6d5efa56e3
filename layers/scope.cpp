#include "layers/scope.hpp"

namespace ptrain {

Padding keras_pad(const Tensor& x, int64_t kernel) {
  const int64_t half = kernel / 2;
  return {.top = half - (x.dim(1) % 2 == 0), .bottom = half, .left = half - (x.dim(2) % 2 == 0), .right = half};
}

std::string Scope::auto_name(const std::string& base) {
  const int i = auto_names_[base]++;
  return i ? base + "_" + std::to_string(i) : base;
}

const Tensor& Scope::weight(const std::string& layer, const char* name, const Shape& shape, Kind kind) {
  Param& p = params_.get(layer, name, shape, kind);
  if (!p.value.defined()) {  // the net is being built
    REQUIRE_THAT(c_.memory->device().kind == DeviceKind::meta, "parameter '", p.key(), "' has no memory: call allocate()");
    p.value = c_.tensor(shape, DType::float32);
  }
  if (o_.record && p.trainable()) c_.tape.watch(p.compute(), p.value.dtype());
  return p.compute();
}

Tensor Scope::absent(int step, const Shape& shape, DType dtype) const {
  if (o_.part == NetPart::trainable)
    for (const auto& [from, tensor] : *o_.boundary)
      if (from == step) return tensor;
  return Tensor::shape_only(shape, dtype);
}

Tensor Scope::done(int step, const Tensor& y, const std::vector<Tensor>& inputs) {
  if (o_.part == NetPart::frozen && o_.cut->boundary.contains(step)) o_.boundary->emplace_back(step, y);
  if (o_.trace) {
    Cut& cut = *o_.trace;
    cut.live.resize(size_t(step) + 1);
    cut.live[size_t(step)] = wants_grad(y);
    for (const Tensor& x : inputs)
      if (const auto it = step_of_.find(x.id()); wants_grad(y) && it != step_of_.end() && !cut.live[size_t(it->second)])
        cut.boundary.insert(it->second);
    step_of_[y.id()] = step;
  }
  return y;
}

Tensor Scope::input(const Tensor& x, const std::string& name) {
  const Tensor y = step({x}, x.shape(), [&] { return x; });
  tell({.type = "InputLayer", .name = name}, {}, y);
  return y;
}

Tensor Scope::zero_pad(const Tensor& x, Padding p, const std::string& name) {
  enter(name);
  const Tensor y =
      step({x}, {x.dim(0), x.dim(1) + p.top + p.bottom, x.dim(2) + p.left + p.right, x.dim(3)}, [&] { return ptrain::zero_pad(c_, x, p); });
  tell({.type = "ZeroPadding2D", .name = name, .padding = p}, {x}, y);
  return y;
}

namespace {

PoolWindow window_of(const PoolOpts& o, const std::string& name) {
  REQUIRE_THAT(o.pad == Pad::valid || o.stride == 1, "pool '", name, "': same padding with stride ", o.stride, " is asymmetric");
  return {.window = o.window, .stride = o.stride, .pad = o.pad == Pad::same ? o.window / 2 : 0};
}

Shape pooled(const Tensor& x, const PoolWindow& w) {
  return {x.dim(0), window_count(x.dim(1), w.window, w.stride, w.pad), window_count(x.dim(2), w.window, w.stride, w.pad), x.dim(3)};
}

}  // namespace

Tensor Scope::max_pool(const Tensor& x, PoolOpts o, const std::string& name) {
  enter(name);
  const PoolWindow w = window_of(o, name);
  const Tensor y = step({x}, pooled(x, w), [&] { return ptrain::max_pool(c_, x, w); });
  tell({.type = "MaxPooling2D", .name = name, .kernel_h = o.window, .kernel_w = o.window, .stride = o.stride, .pad = o.pad}, {x}, y);
  return y;
}

Tensor Scope::avg_pool(const Tensor& x, PoolOpts o, const std::string& name) {
  enter(name);
  const PoolWindow w = window_of(o, name);
  const Tensor y = step({x}, pooled(x, w), [&] { return ptrain::avg_pool(c_, x, w); });
  tell({.type = "AveragePooling2D", .name = name, .kernel_h = o.window, .kernel_w = o.window, .stride = o.stride, .pad = o.pad}, {x}, y);
  return y;
}

Tensor Scope::concat(const std::vector<Tensor>& xs, const std::string& name) {
  enter(name);
  int64_t width = 0;
  for (const Tensor& x : xs) width += x.dim(3);
  const Tensor y = step(xs, {xs.at(0).dim(0), xs[0].dim(1), xs[0].dim(2), width}, [&] { return concat_channels(c_, xs); });
  tell({.type = "Concatenate", .name = name}, xs, y);
  return y;
}

Tensor Scope::global_avg_pool(const Tensor& x, const std::string& name) {
  enter(name);
  const Tensor y = step({x}, {x.dim(0), x.dim(3)}, [&] { return ptrain::global_avg_pool(c_, x); });
  tell({.type = "GlobalAveragePooling2D", .name = name}, {x}, y);
  return y;
}

Tensor Scope::flatten(const Tensor& x, const std::string& name) {
  const Shape flat{x.dim(0), x.size() / x.dim(0)};
  const Tensor y = step({x}, flat, [&] { return x.reshape(flat); });
  tell({.type = "Flatten", .name = name}, {x}, y);
  return y;
}

Tensor Scope::dense(const Tensor& x, const std::string& name, int64_t units, Act act) {
  enter(name);
  const Tensor &w = weight(name, "kernel", {x.dim(1), units}), &b = weight(name, "bias", {units});
  const Tensor y = step({x}, {x.dim(0), units}, [&] { return bias_act(c_, ptrain::dense(c_, x, w), b, act); });
  tell({.type = "Dense", .name = name, .bias = true, .act = act, .units = units}, {x}, y);
  return y;
}

Tensor Scope::logits(const Tensor& x, const std::string& name, int64_t units) {
  enter(name);
  const Tensor &w = weight(name, "kernel", {x.dim(1), units}), &b = weight(name, "bias", {units});
  const Tensor y = step({x}, {x.dim(0), units}, [&] { return bias_act(c_, ptrain::dense(c_, x, w), b, Act::none); });
  tell({.type = "Dense", .name = name, .bias = true, .softmax = true, .units = units}, {x}, y);
  return y;
}

Tensor Scope::dropout(const Tensor& x, const std::string& name, float rate) {
  enter(name);
  const uint32_t layer = dropouts_++;
  const Tensor y = step({x}, x.shape(), [&] {
    if (!o_.dropout || rate == 0) return x;
    return ptrain::dropout(c_, x, rate, {.seed = o_.seed, .layer = layer}, o_.samples, o_.epoch);
  });
  tell({.type = "Dropout", .name = name, .rate = rate}, {x}, y);
  return y;
}

}  // namespace ptrain
