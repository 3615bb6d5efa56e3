// defines: Tape (autograd) and Context (one pass: where it runs, where its tensors live, what it records)
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tensor/tensor.hpp"

namespace ptrain {

class Tape;

struct Context {
  Backend& backend;
  Exec& exec;
  std::shared_ptr<Memory> memory;
  Tape& tape;

  Tensor tensor(Shape shape, DType dtype) const { return {shape, dtype, memory}; }
  Tensor like(const Tensor& t) const { return {t.shape(), t.dtype(), memory}; }
  void copy_as(Buffer from, Buffer to) const {  // a copy, in the type of `to`
    if (from.dtype == to.dtype) backend.copy(exec, from, to);
    else backend.cast(exec, from, to);
  }

  // The tensors of an operation lie where the pass runs. A pass on meta reads no values, so it may plan with tensors of any device.
  template <class... Tensors>
  void same_device(const char* op, const Tensors&... tensors) const {
    (same_device_one(op, tensors), ...);
  }

 private:
  void same_device_one(const char* op, const Tensor& t) const {
    const Device here = memory->device();
    REQUIRE_THAT(!t.has_data() || t.device() == here || here.kind == DeviceKind::meta, op, ": a tensor of shape ", str(t.shape()),
                 " lies on ", str(t.device()), ", the pass runs on ", str(here), "; move it with to()");
  }
};

// Names a tensor for the tape without keeping its data alive: for a backward that needs where its gradient goes, not its values.
struct Ref {
  explicit Ref(const Tensor& t) : id(t.has_data() ? t.id() : 0), shape(t.shape()), dtype(t.dtype()) {}
  uint64_t id;  // 0: no tensor
  Shape shape;
  DType dtype;
};

// A tensor that backward needs again: kept, or made anew from others that are kept anyway.
class Saved {
 public:
  using Recipe = std::function<Tensor(Context&)>;
  explicit Saved(Tensor kept) : kept_(std::move(kept)) {}
  explicit Saved(std::shared_ptr<const Recipe> recipe) : recipe_(std::move(recipe)) {}
  Tensor get(Context& c) const { return recipe_ ? (*recipe_)(c) : kept_; }
  bool is_remade() const { return recipe_ != nullptr; }

 private:
  Tensor kept_;
  std::shared_ptr<const Recipe> recipe_;
};

// A linear tape: the order of recording is a topological order, so backward() pops from the end and frees as it goes. It holds
// the gradients. Nothing is recorded when no input wants a gradient, so a frozen base keeps no activation. Gradients add.
class Tape {
 public:
  // Runs with the context of the backward pass, which need not be that of the forward pass. dy is the gradient of the output.
  using Backward = std::function<void(Context&, const Tensor& dy)>;

  void watch(const Tensor& leaf) { wanted_.insert(leaf.id()); }  // a parameter or an input whose gradient is asked for
  // The same with the gradient in another type: that of a float16 working copy would lose in float16 what the loss scale saved.
  void watch(const Tensor& leaf, DType gradient) {
    watch(leaf);
    if (gradient != leaf.dtype()) gradient_types_[leaf.id()] = gradient;
  }
  bool wants_grad(const Tensor& t) const { return t.has_data() && wanted_.contains(t.id()); }

  void record(std::initializer_list<Tensor> inputs, const Tensor& output, Backward backward) {
    record(std::span(inputs.begin(), inputs.size()), output, std::move(backward));
  }
  void record(std::span<const Tensor> inputs, const Tensor& output, Backward backward) {
    if (std::none_of(inputs.begin(), inputs.end(), [this](const Tensor& t) { return wants_grad(t); })) return;
    for (const Tensor& x : inputs) read_by_an_op(x);
    push(output, std::move(backward));
  }

  // Backward can make y anew: whoever saves it keeps the recipe instead of the values. `recipe` lives as long as somebody holds it.
  void can_remake(const Tensor& y, const std::shared_ptr<const Saved::Recipe>& recipe) { recipes_[y.id()] = recipe; }
  // What an op captures of an input whose values its backward needs.
  Saved save(const Tensor& x) const {
    const auto it = recipes_.find(x.id());
    const std::shared_ptr<const Saved::Recipe> recipe = it == recipes_.end() ? nullptr : it->second.lock();
    return recipe ? Saved(recipe) : Saved(x);
  }

  // An op that needs its output y again only to know where its activation lets the gradient pass asks for it here and gets what to keep.
  // The next op may take that over: it promises to let no gradient pass where y is flat, and as long as it is the only one that reads y,
  // nobody keeps y.
  std::shared_ptr<const Saved> keep_mask(Act act, const Tensor& y) {
    const auto kept = std::make_shared<Saved>(y);
    masks_[y.id()] = {act, kept};
    return kept;
  }
  // The activation that the caller, which is about to record an op on y, takes over; none when it cannot.
  Act take_mask(const Tensor& y) {
    const auto it = masks_.find(y.id());
    const std::shared_ptr<Saved> kept = it == masks_.end() || it->second.state != Mask::State::kept ? nullptr : it->second.kept.lock();
    if (!kept) return Act::none;
    *kept = Saved(Tensor());
    it->second.state = Mask::State::taking;
    return it->second.act;
  }

  // The layer that records from here on: its backward runs under the same label, for error messages and profiles.
  void enter(const std::string& layer) { layer_ = layer; }

  // Where a backward op puts the gradient of x: the first to come overwrites, the others add. Empty when nobody wants it.
  Into into(const Context& c, const Ref& x) { return into_place_of(c, x, {}); }
  Into into(const Context& c, const Tensor& x) { return into(c, Ref(x)); }

  // The same for an op that computes dx element by element and may write it over dy: when nobody else holds dy and nobody came
  // before, dx takes the memory of dy. The op must not read dy afterwards.
  Into into_place_of(const Context& c, const Ref& x, const Tensor& dy) {
    if (!wanted_.contains(x.id)) return {};
    const auto [it, first] = gradients_.try_emplace(x.id);
    Tensor& dx = it->second;
    if (first) dx = dy.is_sole_owner() && dy.dtype() == gradient_type(x) ? dy.reshape(x.shape) : c.tensor(x.shape, gradient_type(x));
    else if (!dx.is_sole_owner()) dx = copied(c, dx);
    return {dx.buffer(), first ? Accumulate::no : Accumulate::yes};
  }

  // Hands dy on as the gradient of x, or adds it: for ops whose slope is 1. Gradients may share memory until one of them changes.
  void pass(const Context& c, const Ref& x, const Tensor& dy) {
    if (!wanted_.contains(x.id)) return;
    if (dy.dtype() == gradient_type(x) && !gradients_.contains(x.id)) {
      gradients_[x.id] = dy.reshape(x.shape);
      return;
    }
    const Into dx = into(c, x);
    if (dx.how == Accumulate::yes) c.backend.add_scaled(c.exec, 1, dy.buffer(), dx.buffer);
    else c.copy_as(dy.buffer(), dx.buffer);
  }

  // Backward from `output`, whose gradient is `seed`; afterwards the gradients of the watched leaves are there and the tape is empty.
  void backward(Context& c, const Tensor& output, const Tensor& seed) {
    REQUIRE_THAT(seed.size() == output.size(), "backward: the gradient has shape ", str(seed.shape()), ", the output ",
                 str(output.shape()));
    REQUIRE_THAT(wants_grad(output), "backward: the output does not depend on anything that wants a gradient");
    gradients_[output.id()] = seed;
    while (!steps_.empty()) {
      const Step step = std::move(steps_.back());
      steps_.pop_back();
      const auto it = gradients_.find(step.output);
      if (it == gradients_.end()) continue;  // nothing that was asked for depends on this output
      const Tensor dy = it->second;
      gradients_.erase(it);  // everyone has added to it: after this step it is free
      c.exec.label = step.layer;
      step.run(c, dy);
    }
  }

  bool has_grad(const Tensor& leaf) const { return leaf.has_data() && gradients_.contains(leaf.id()); }
  const Tensor& grad(const Tensor& leaf) const {
    const auto it = gradients_.find(leaf.id());
    REQUIRE_THAT(it != gradients_.end(), "no gradient for a tensor of shape ", str(leaf.shape()),
                 ": it was not watched, or nothing depends on it");
    return it->second;
  }
  size_t size() const { return steps_.size(); }
  void clear() {
    steps_.clear();
    gradients_.clear();
    wanted_.clear();
    gradient_types_.clear();
    recipes_.clear();
    masks_.clear();
  }

 private:
  DType gradient_type(const Ref& x) const {
    const auto it = gradient_types_.find(x.id);
    return it == gradient_types_.end() ? x.dtype : it->second;
  }

  static Tensor copied(const Context& c, const Tensor& t) {
    const Tensor copy = c.like(t);
    c.backend.copy(c.exec, t.buffer(), copy.buffer());
    return copy;
  }

  struct Mask {
    enum class State { kept, taking, taken };
    Act act = Act::none;
    std::weak_ptr<Saved> kept;
    State state = State::kept;
  };
  void read_by_an_op(const Tensor& y) {
    const auto it = y.has_data() ? masks_.find(y.id()) : masks_.end();
    if (it == masks_.end()) return;
    Mask& mask = it->second;
    if (mask.state == Mask::State::taking) {
      mask.state = Mask::State::taken;  // that was the op which took it
      return;
    }
    if (const auto kept = mask.kept.lock(); kept && mask.state == Mask::State::taken)
      *kept = Saved(y);  // a second reader, whose gradient must be stopped as well
    masks_.erase(it);
  }

  struct Step {
    uint64_t output;
    std::string layer;
    Backward run;
  };
  void push(const Tensor& output, Backward backward) {
    wanted_.insert(output.id());
    steps_.push_back({output.id(), layer_, std::move(backward)});
  }
  std::string layer_;
  std::vector<Step> steps_;
  std::unordered_map<uint64_t, Tensor> gradients_;
  std::unordered_set<uint64_t> wanted_;
  std::unordered_map<uint64_t, std::weak_ptr<const Saved::Recipe>> recipes_;
  std::unordered_map<uint64_t, Mask> masks_;
  std::unordered_map<uint64_t, DType> gradient_types_;  // of leaves whose gradient has another type than they
};

// Clears the tape when a step ends or throws.
class TapeGuard {
 public:
  explicit TapeGuard(Tape& tape) : tape_(tape) {}
  ~TapeGuard() { tape_.clear(); }
  TapeGuard(const TapeGuard&) = delete;
  TapeGuard& operator=(const TapeGuard&) = delete;

 private:
  Tape& tape_;
};

}  // namespace ptrain
