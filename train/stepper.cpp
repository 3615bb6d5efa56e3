#include "train/stepper.hpp"

namespace ptrain {

// A batch on its way: what crosses the cut, one border a group.
struct Stepper::Slot {
  StepInput input;
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
  one_ = Tensor::from(std::vector<float>{1}, {1}, DType::float32, memory);
  iterations_ = zeros({1}, DType::int32, memory);
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

std::vector<std::pair<std::string, Tensor>> Stepper::state() {
  std::vector<std::pair<std::string, Tensor>> named{{"optimizer/iterations", iterations_}};
  for (const auto& [param, states] : optimizer_state_)
    for (size_t i = 0; i < states.size(); ++i) named.emplace_back("optimizer/" + param->key() + "/" + std::to_string(i), states[i]);
  return named;
}

void Stepper::prepare(StepInput input, ImageSource source) {
  REQUIRE_THAT(waiting_.size() < 2, "stepper: two batches are waiting already");
  REQUIRE_THAT(!input.images.empty() && input.images.size() == input.labels.size(), "stepper: ", input.images.size(), " images, ", input.labels.size(), " labels");
  const int64_t n = int64_t(input.images.size()), group = runner_.all_frozen() ? n : std::min(n, o_.runner.group), shard = std::min(o_.runner.shard, group);
  auto slot = std::make_unique<Slot>();
  slot->input = std::move(input);
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
  slot->job = workers_.start(Workers::Urgency::later, count, [this, s = slot.get(), pieces = std::move(pieces), source = std::move(source)](int64_t i, Worker& worker) {
    const Piece& p = pieces[size_t(i)];
    runner_.frozen(worker, std::span(s->input.images).subspan(size_t(p.first), size_t(p.count)), source, s->borders[p.group], p.row);
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
  workers_.run(1, [&](int64_t, Worker& worker) { result = head_step(exec_of(worker), slot, dpooled); });
  if (!runner_.all_frozen()) groups_backward(dpooled);
  workers_.run(1, [&](int64_t, Worker& worker) { update(exec_of(worker), learning_rate); });
  head_tape_.clear();
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
StepResult Stepper::head_step(Exec& exec, Slot& slot, Tensor& dpooled) {
  const std::shared_ptr<Memory>& memory = model_.memory();
  const int64_t n = int64_t(slot.input.images.size());
  Context c{memory->backend(), exec, memory, head_tape_};
  Tensor pooled;
  if (runner_.all_frozen()) {
    pooled = slot.borders[0][0].second;
  } else {
    pooled = c.tensor({n, model_.features()}, o_.runner.compute);
    int64_t row = 0;
    for (size_t g = 0; g < slot.borders.size(); ++g) {
      const Tensor& part = groups_[g].pooled();
      c.backend.copy(exec, part.buffer(), pooled.buffer().slice(row * model_.features(), part.size()));
      row += part.dim(0);
    }
    head_tape_.watch(pooled);
  }
  std::vector<float> labels(slot.input.labels.begin(), slot.input.labels.end()), numbers(slot.input.images.begin(), slot.input.images.end());
  const Tensor label_tensor = Tensor::from(labels, {n}, DType::int32, memory), samples = Tensor::from(numbers, {n}, DType::int32, memory);
  Scope scope(c, model_.params, {.record = true, .dropout = true, .seed = o_.seed, .epoch = slot.input.epoch, .samples = samples});
  const CrossEntropy out = softmax_cross_entropy(c, model_.head(scope, pooled), label_tensor, class_weights_);
  head_tape_.backward(c, out.loss, one_);
  for (const std::string& key : l2_kernels(model_.spec.head)) {
    const Tensor& w = model_.params.at(key).value;
    c.backend.sum_squares(exec, model_.spec.head.l2, w.buffer(), {out.loss.buffer(), Accumulate::yes});
    c.backend.add_scaled(exec, 2 * model_.spec.head.l2, w.buffer(), head_tape_.grad(model_.params.at(key).compute()).buffer());
  }
  if (!runner_.all_frozen()) dpooled = head_tape_.grad(pooled);
  return {double(out.loss.item()), out.probabilities.to_floats()};
}

// The gradients of the groups are added to those of the first, in order, whoever computed them.
void Stepper::update(Exec& exec, double learning_rate) {
  Backend& backend = model_.memory()->backend();
  std::vector<OptimizerSlot> slots;
  for (const auto& [param, states] : optimizer_state_) {
    const Tensor& w = param->compute();
    Buffer dw;
    if (is_head_layer(param->layer)) {
      dw = head_tape_.grad(w).buffer();
    } else {
      dw = groups_[0].tape().grad(w).buffer();
      for (size_t g = 1; g < group_rows_.size(); ++g) backend.add_scaled(exec, 1, groups_[g].tape().grad(w).buffer(), dw);
    }
    OptimizerSlot slot{.w = param->value.buffer(), .dw = dw, .state = {}, .copy = {}};
    for (size_t i = 0; i < states.size(); ++i) slot.state[i] = states[i].buffer();
    if (param->copy.defined()) slot.copy = param->copy.buffer();
    slots.push_back(slot);
  }
  OptimizerRule rule = o_.rule;
  rule.learning_rate = learning_rate;
  backend.optimizer_step(exec, rule, slots, {.iterations = iterations_.buffer(), .finite = {}});
  runner_.weights_changed();
}

}  // namespace ptrain
