#include "train/stepper.hpp"

#include "kernels/check.hpp"
#include "train/not_finite.hpp"

namespace ptrain {

// A batch on its way: what crosses the cut, one border a group.
struct Stepper::Slot {
  StepInput input;
  ImageSource source;
  std::vector<Boundary> borders;
  std::shared_ptr<Workers::Job> job;
};

namespace {

Tensor zeros(const Shape& shape, DType dtype, const std::shared_ptr<Memory>& memory) {
  return Tensor::from(std::vector<float>(size_t(shape.size()), 0.f), shape, dtype, memory);
}

}  // namespace

Stepper::Stepper(Model& model, Workers& workers, StepperOptions options)
    : model_(model), workers_(workers), o_(std::move(options)), runner_(model, workers, o_.runner) {
  const std::shared_ptr<Memory>& memory = model.memory();
  if (o_.runner.batch_statistics) whole_batch_ = memory->backend().make_exec(workers.threads());
  REQUIRE_THAT(int64_t(o_.class_weights.size()) == model.spec.head.classes, "stepper: ", o_.class_weights.size(), " class weights for ", model.spec.head.classes, " classes");
  class_weights_ = Tensor::from(o_.class_weights, {model.spec.head.classes}, DType::float32, memory);
  dloss_ = Tensor::from(std::vector<double>{o_.scaling ? o_.scaling->initial : 1}, {1}, DType::float32, memory);
  iterations_ = zeros({1}, DType::int32, memory);
  if (o_.scaling) finite_ = zeros({1}, DType::int32, memory), finite_steps_ = zeros({1}, DType::int32, memory);
  for (Param& p : model.params.list()) {
    if (!p.trainable()) continue;
    auto& [param, states] = optimizer_state_.emplace_back(&p, std::vector<Tensor>{});
    for (int i = 0; i < o_.rule.states(); ++i) states.push_back(zeros(param->shape, param->value.dtype(), memory));
  }
}

Stepper::~Stepper() {
  for (const auto& slot : waiting_) {
    try {
      workers_.wait(slot->job);  // its tasks write to the slot
    } catch (const std::exception&) {
      // The batch is dropped, and with it what went wrong while it was prepared.
    }
  }
}

int64_t Stepper::iterations() const { return int64_t(iterations_.item()); }

std::optional<double> Stepper::loss_scale() const {
  if (o_.scaling) return double(dloss_.item());
  return {};
}

std::vector<std::pair<std::string, Tensor>> Stepper::state() {
  std::vector<std::pair<std::string, Tensor>> named{{"optimizer/iterations", iterations_}};
  if (o_.scaling) named.insert(named.end(), {{"optimizer/loss_scale", dloss_}, {"optimizer/finite_steps", finite_steps_}});
  for (const auto& [param, states] : optimizer_state_)
    for (size_t i = 0; i < states.size(); ++i) named.emplace_back("optimizer/" + param->key() + "/" + std::to_string(i), states[i]);
  return named;
}

void Stepper::prepare(StepInput input, ImageSource source, FeatureStore* store) {
  REQUIRE_THAT(waiting_.size() < 2, "stepper: two batches are waiting already");
  REQUIRE_THAT(!input.images.empty() && input.images.size() == input.labels.size(), "stepper: ", input.images.size(), " images, ", input.labels.size(), " labels");
  const int64_t n = int64_t(input.images.size()), group = runner_.all_frozen() ? n : std::min(n, o_.runner.group), shard = std::min(o_.runner.shard, group);
  auto slot = std::make_unique<Slot>();
  slot->input = std::move(input);
  slot->source = std::move(source);
  for (int64_t first = 0; first < n; first += group) slot->borders.push_back(runner_.make_border(std::min(group, n - first)));
  // A shard lies in one group.
  struct Piece {
    size_t group;
    int64_t row, first, count;
  };
  std::vector<Piece> pieces;
  for (int64_t first = 0; first < n; first += group)
    for (int64_t row = 0; row < std::min(group, n - first); row += shard)
      pieces.push_back({size_t(first / group), row, first + row, std::min(shard, std::min(group, n - first) - row)});
  const int64_t count = int64_t(pieces.size());
  slot->job = workers_.start(Workers::Urgency::later, count, [this, store, s = slot.get(), pieces = std::move(pieces)](int64_t i, Worker& worker) {
    const Piece& p = pieces[size_t(i)];
    const std::span images = std::span<const int64_t>(s->input.images).subspan(size_t(p.first), size_t(p.count));
    if (store && store->has(images)) return store->read(*worker.exec, images, s->borders[p.group], p.row);
    runner_.frozen(worker, images, s->source, s->borders[p.group], p.row);
    if (store) store->write(*worker.exec, images, s->borders[p.group], p.row);
  });
  waiting_.push_back(std::move(slot));
}

StepResult Stepper::step(double learning_rate) {
  REQUIRE_THAT(!waiting_.empty(), "stepper: no batch was prepared");
  Slot& slot = *waiting_.front();
  workers_.wait(slot.job);
  StepResult result;
  Tensor dpooled;
  if (!runner_.all_frozen()) groups_forward(slot);
  workers_.run(1, [&](int64_t, Worker& worker) { head_step(exec_of(worker), slot, dpooled); });
  if (!runner_.all_frozen()) groups_backward(dpooled);
  workers_.run(1, [&](int64_t, Worker& worker) {
    update(exec_of(worker), learning_rate);
    result = read(exec_of(worker), slot);
  });
  head_tape_.clear();
  out_ = {};
  for (BaseRunner::Group& group : groups_) BaseRunner::release(group);
  waiting_.pop_front();
  return result;
}

void Stepper::groups_forward(Slot& slot) {
  while (groups_.size() < slot.borders.size()) groups_.push_back(runner_.make_group());
  group_rows_.clear();
  for (const Boundary& border : slot.borders) group_rows_.push_back(border.at(0).second.dim(0));
  workers_.run(int64_t(slot.borders.size()), [&](int64_t i, Worker& worker) { runner_.forward(exec_of(worker), groups_[size_t(i)], slot.borders[size_t(i)]); });
}

void Stepper::groups_backward(const Tensor& dpooled) {
  const int64_t width = dpooled.dim(1), group = group_rows_.at(0);
  workers_.run(int64_t(group_rows_.size()), [&](int64_t i, Worker& worker) {
    const int64_t rows = group_rows_[size_t(i)];
    runner_.backward(exec_of(worker), groups_[size_t(i)], dpooled.buffer().slice(i * group * width, rows * width));
  });
}

// Forward and backward of the head on the whole batch; dpooled is the gradient for the base when it wants one.
void Stepper::head_step(Exec& exec, Slot& slot, Tensor& dpooled) {
  const std::shared_ptr<Memory>& memory = model_.memory();
  const int64_t n = int64_t(slot.input.images.size());
  Context c{memory->backend(), exec, memory, head_tape_};
  const Tensor pooled = c.tensor({n, model_.features()}, wide(o_.runner.compute));
  if (runner_.all_frozen()) {
    c.copy_as(slot.borders[0][0].second.buffer(), pooled.buffer());
  } else {
    int64_t row = 0;
    for (size_t g = 0; g < slot.borders.size(); ++g) {
      const Tensor& part = groups_[g].pooled();
      c.copy_as(part.buffer(), pooled.buffer().slice(row * model_.features(), part.size()));
      row += part.dim(0);
    }
    head_tape_.watch(pooled);
  }
  std::vector<float> labels(slot.input.labels.begin(), slot.input.labels.end()), numbers(slot.input.images.begin(), slot.input.images.end());
  const Tensor label_tensor = Tensor::from(labels, {n}, DType::int32, memory), samples = Tensor::from(numbers, {n}, DType::int32, memory);
  Scope scope(c, model_.params, {.record = true, .dropout = true, .seed = o_.seed, .epoch = slot.input.epoch, .samples = samples});
  out_ = softmax_cross_entropy(c, model_.head(scope, pooled), label_tensor, class_weights_);
  head_tape_.backward(c, out_.loss, dloss_);
  for (const std::string& key : l2_kernels(model_.spec.head))
    c.backend.sum_squares(exec, model_.spec.head.l2, model_.params.at(key).value.buffer(), {out_.loss.buffer(), Accumulate::yes});
  if (!runner_.all_frozen()) dpooled = head_tape_.grad(pooled);
}

// Of the whole batch, once the groups are summed: the first group's tensor holds the sum.
Buffer Stepper::gradient(const Param& param) const {
  const Tape& tape = is_head_layer(param.layer) ? head_tape_ : groups_[0].tape();
  return tape.grad(param.compute()).buffer();
}

// The gradients of the groups are added to those of the first, in order, whoever computed them.
void Stepper::update(Exec& exec, double learning_rate) {
  Backend& backend = model_.memory()->backend();
  std::vector<OptimizerSlot> slots;
  for (const auto& [param, states] : optimizer_state_) {
    const Buffer dw = gradient(*param);
    if (!is_head_layer(param->layer))
      for (size_t g = 1; g < group_rows_.size(); ++g) backend.add_scaled(exec, 1, groups_[g].tape().grad(param->compute()).buffer(), dw);
    OptimizerSlot slot{.w = param->value.buffer(), .dw = dw, .state = {}, .copy = {}};
    for (size_t i = 0; i < states.size(); ++i) slot.state[i] = states[i].buffer();
    if (param->copy.defined()) slot.copy = param->copy.buffer();
    slots.push_back(slot);
  }
  const Buffer finite = o_.scaling ? finite_.buffer() : Buffer{};
  if (o_.scaling) backend.unscale(exec, slots, dloss_.buffer(), finite);
  for (const std::string& key : l2_kernels(model_.spec.head)) {
    const Param& p = model_.params.at(key);
    backend.add_scaled(exec, 2 * model_.spec.head.l2, p.value.buffer(), gradient(p));
  }
  OptimizerRule rule = o_.rule;
  rule.learning_rate = learning_rate;
  backend.optimizer_step(exec, rule, slots, {.iterations = iterations_.buffer(), .finite = finite});
  if (o_.scaling) backend.update_loss_scale(exec, {.scale = dloss_.buffer(), .counter = finite_steps_.buffer(), .growth_steps = o_.scaling->growth_steps}, finite);
  runner_.weights_changed();
}

// The only place where the host waits for what the device computes.
StepResult Stepper::read(Exec& exec, const Slot& slot) {
  Backend& backend = model_.memory()->backend();
  const auto number = [&]<class T>(const Tensor& t, T value) {
    backend.download(exec, t.buffer(), &value);
    return value;
  };
  StepResult result;
  result.loss = double(number(out_.loss, 0.f));
  result.probabilities.resize(size_t(out_.probabilities.size()));
  backend.download(exec, out_.probabilities.buffer(), result.probabilities.data());
  if (!o_.scaling) return result;
  result.skipped = number(finite_, int32_t{0}) == 0;
  result.loss_scale = double(number(dloss_, 0.f));
  skipped_in_a_row_ = result.skipped ? skipped_in_a_row_ + 1 : 0;
  if (skipped_in_a_row_ == o_.scaling->give_up) result.not_finite = first_not_finite(exec, slot);
  return result;
}

// In the order in which a step computes: images, outputs of the layers, loss, gradients from the last layer to the first.
std::string Stepper::first_not_finite(Exec& exec, const Slot& slot) {
  const std::string output = first_not_finite_output(model_, exec, slot.input.images, slot.source, o_.runner.compute);
  if (!output.empty()) return output;
  if (!all_finite(model_, exec, out_.loss.buffer())) return "the loss";
  for (auto it = optimizer_state_.rbegin(); it != optimizer_state_.rend(); ++it)
    if (!all_finite(model_, exec, gradient(*it->first))) return "the gradient of " + it->first->key();
  return "a gradient inside the base";
}

}  // namespace ptrain
