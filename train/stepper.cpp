#include "train/stepper.hpp"

#include "kernels/check.hpp"
#include "train/not_finite.hpp"
#include "train/repeated.hpp"

namespace ptrain {

// A batch on its way: what crosses the cut, one border a group.
struct Stepper::Slot {
  StepInput input;
  ImageSource source;
  std::vector<Boundary> borders;
  std::shared_ptr<Workers::Job> job;
};

// Where the step of a batch of so many images finds what changes from batch to batch, and leaves what the host reads: always in the same
// places, so that the step can be recorded.
struct Stepper::Places {
  std::vector<int32_t> label_values, sample_values;  // an upload reads them until the device is waited for
  int32_t epoch_value = 0;
  float rate_value = 0;
  Tensor labels, samples, epoch, rate;
  std::vector<Boundary> borders;  // of devices
  Buffer loss, probabilities;
  Repeated repeated;
};

namespace {

Tensor zeros(const Shape& shape, DType dtype, const std::shared_ptr<Memory>& memory) {
  return Tensor::from(std::vector<float>(size_t(shape.size()), 0.f), shape, dtype, memory);
}

}  // namespace

Stepper::Stepper(Model& model, Workers& workers, StepperOptions options)
    : model_(model),
      workers_(workers),
      o_(std::move(options)),
      runner_(model, workers, o_.runner) {
  const std::shared_ptr<Memory>& memory = model.memory();
  if (o_.runner.batch_statistics || !memory->backend().is_host()) whole_step_ = memory->backend().make_exec(workers.threads());
  head_memory_ = std::make_shared<Pool>(memory->shared_backend(), memory->device());
  REQUIRE_THAT(int64_t(o_.class_weights.size()) == model.spec.head.classes, "stepper: ", o_.class_weights.size(), " class weights for ",
               model.spec.head.classes, " classes");
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
  REQUIRE_THAT(!input.images.empty() && input.images.size() == input.labels.size(), "stepper: ", input.images.size(), " images, ",
               input.labels.size(), " labels");
  const int64_t n = int64_t(input.images.size()), group = runner_.all_frozen() ? n : std::min(n, o_.runner.group),
                shard = std::min(o_.runner.shard, group);
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
  slot->job =
      workers_.start(Workers::Urgency::later, count, [this, store, s = slot.get(), pieces = std::move(pieces)](int64_t i, Worker& worker) {
        const Piece& p = pieces[size_t(i)];
        const std::span images = std::span<const int64_t>(s->input.images).subspan(size_t(p.first), size_t(p.count));
        if (store && store->has(images)) return store->read(*worker.exec, images, s->borders[p.group], p.row);
        runner_.frozen(worker, images, s->source, s->borders[p.group], p.row);
        if (store) store->write(*worker.exec, images, s->borders[p.group], p.row);
      });
  waiting_.push_back(std::move(slot));
}

int64_t Stepper::recorded() const {
  return std::count_if(places_.begin(), places_.end(), [](const auto& p) { return p.second->repeated.recorded(); });
}

StepResult Stepper::step(double learning_rate) {
  REQUIRE_THAT(!waiting_.empty(), "stepper: no batch was prepared");
  Slot& slot = *waiting_.front();
  workers_.wait(slot.job);
  Places& at = places_of(slot);
  while (!runner_.all_frozen() && groups_.size() < slot.borders.size()) groups_.push_back(runner_.make_group());
  group_rows_.clear();
  for (const Boundary& border : slot.borders) group_rows_.push_back(border.at(0).second.dim(0));
  workers_.run(1, [&](int64_t, Worker& worker) { fill(exec_of(worker), slot, at, learning_rate); });
  if (model_.memory()->backend().is_host()) step_on_host(slot, at);
  else workers_.run(1, [&](int64_t, Worker& worker) { step_on_device(exec_of(worker), slot, at); });
  runner_.weights_changed();
  StepResult result;
  workers_.run(1, [&](int64_t, Worker& worker) { result = read(exec_of(worker), slot, at); });
  forget();
  waiting_.pop_front();
  return result;
}

Stepper::Places& Stepper::places_of(const Slot& slot) {
  const int64_t n = int64_t(slot.input.images.size());
  std::unique_ptr<Places>& at = places_[n];
  if (at) return *at;
  const std::shared_ptr<Memory>& memory = model_.memory();
  at = std::make_unique<Places>();
  at->labels = Tensor({n}, DType::int32, memory), at->samples = Tensor({n}, DType::int32, memory);
  at->epoch = Tensor({1}, DType::int32, memory), at->rate = Tensor({1}, DType::float32, memory);
  if (!memory->backend().is_host())
    for (const Boundary& border : slot.borders) at->borders.push_back(runner_.make_border(border.at(0).second.dim(0)));
  return *at;
}

void Stepper::fill(Exec& exec, const Slot& slot, Places& at, double learning_rate) {
  Backend& backend = model_.memory()->backend();
  at.label_values = slot.input.labels;
  at.sample_values.assign(slot.input.images.begin(), slot.input.images.end());
  at.epoch_value = int32_t(slot.input.epoch), at.rate_value = float(learning_rate);
  backend.upload(exec, at.label_values.data(), at.labels.buffer());
  backend.upload(exec, at.sample_values.data(), at.samples.buffer());
  backend.upload(exec, &at.epoch_value, at.epoch.buffer());
  backend.upload(exec, &at.rate_value, at.rate.buffer());
  for (size_t g = 0; g < at.borders.size(); ++g)
    for (size_t i = 0; i < at.borders[g].size(); ++i)
      backend.copy(exec, slot.borders[g][i].second.buffer(), at.borders[g][i].second.buffer());
}

void Stepper::step_on_host(Slot& slot, Places& at) {
  Tensor dpooled;
  const int64_t groups = runner_.all_frozen() ? 0 : int64_t(slot.borders.size());
  workers_.run(groups, [&](int64_t i, Worker& worker) { runner_.forward(exec_of(worker), groups_[size_t(i)], slot.borders[size_t(i)]); });
  workers_.run(1, [&](int64_t, Worker& worker) { head_step(exec_of(worker), at, slot.borders, dpooled); });
  workers_.run(groups, [&](int64_t i, Worker& worker) { group_backward(exec_of(worker), i, dpooled); });
  workers_.run(1, [&](int64_t, Worker& worker) { update(exec_of(worker), at); });
}

// When this may be the last of too many skipped steps, its gradients are wanted on the host: a recording leaves none there.
void Stepper::step_on_device(Exec& exec, Slot& slot, Places& at) {
  if (o_.scaling && skipped_in_a_row_ + 1 >= o_.scaling->give_up) return compute(exec, at);
  const auto places = [&] {
    std::vector<const void*> all;
    for (size_t g = 0; !runner_.all_frozen() && g < slot.borders.size(); ++g) all.push_back(groups_[g].place());
    return all;
  };
  at.repeated.run(model_.memory()->backend(), exec, places, [&] { compute(exec, at); });
}

// All of a step by one thread: on a device the operations queue up anyway.
void Stepper::compute(Exec& exec, Places& at) {
  forget();  // of an attempt that failed
  const int64_t groups = runner_.all_frozen() ? 0 : int64_t(at.borders.size());
  for (int64_t i = 0; i < groups; ++i) runner_.forward(exec, groups_[size_t(i)], at.borders[size_t(i)]);
  Tensor dpooled;
  head_step(exec, at, at.borders, dpooled);
  for (int64_t i = 0; i < groups; ++i) group_backward(exec, i, dpooled);
  update(exec, at);
}

void Stepper::forget() {
  head_tape_.clear();
  out_ = {};
  for (BaseRunner::Group& group : groups_) BaseRunner::release(group);
}

void Stepper::group_backward(Exec& exec, int64_t group, const Tensor& dpooled) {
  const int64_t width = dpooled.dim(1), rows = group_rows_.at(size_t(group));
  runner_.backward(exec, groups_[size_t(group)], dpooled.buffer().slice(group * group_rows_[0] * width, rows * width));
}

// Forward and backward of the head on the whole batch; dpooled is the gradient for the base when it wants one.
void Stepper::head_step(Exec& exec, Places& at, const std::vector<Boundary>& borders, Tensor& dpooled) {
  Context c{model_.memory()->backend(), exec, head_memory_, head_tape_};
  const int64_t n = at.labels.dim(0);
  const Tensor pooled = c.tensor({n, model_.features()}, wide(o_.runner.compute));
  if (runner_.all_frozen()) {
    c.copy_as(borders[0][0].second.buffer(), pooled.buffer());
  } else {
    int64_t row = 0;
    for (size_t g = 0; g < borders.size(); ++g) {
      const Tensor& part = groups_[g].pooled();
      c.copy_as(part.buffer(), pooled.buffer().slice(row * model_.features(), part.size()));
      row += part.dim(0);
    }
    head_tape_.watch(pooled);
  }
  Scope scope(c, model_.params, {.record = true, .dropout = true, .seed = o_.seed, .samples = at.samples, .epoch = at.epoch});
  out_ = softmax_cross_entropy(c, model_.head(scope, pooled), at.labels, class_weights_);
  head_tape_.backward(c, out_.loss, dloss_);
  for (const std::string& key : l2_kernels(model_.spec.head))
    c.backend.sum_squares(exec, model_.spec.head.l2, model_.params.at(key).value.buffer(), {out_.loss.buffer(), Accumulate::yes});
  at.loss = out_.loss.buffer(), at.probabilities = out_.probabilities.buffer();
  if (!runner_.all_frozen()) dpooled = head_tape_.grad(pooled);
}

// Of the whole batch, once the groups are summed: the first group's tensor holds the sum.
Buffer Stepper::gradient(const Param& param) const {
  const Tape& tape = is_head_layer(param.layer) ? head_tape_ : groups_[0].tape();
  return tape.grad(param.compute()).buffer();
}

// The gradients of the groups are added to those of the first, in order, whoever computed them.
void Stepper::update(Exec& exec, const Places& at) {
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
  backend.optimizer_step(exec, o_.rule, slots, {.iterations = iterations_.buffer(), .finite = finite, .learning_rate = at.rate.buffer()});
  if (o_.scaling)
    backend.update_loss_scale(exec, {.scale = dloss_.buffer(), .counter = finite_steps_.buffer(), .growth_steps = o_.scaling->growth_steps},
                              finite);
}

// The only place where the host waits for what the device computes.
StepResult Stepper::read(Exec& exec, const Slot& slot, const Places& at) {
  Backend& backend = model_.memory()->backend();
  const auto number = [&]<class T>(Buffer from, T value) {
    backend.download(exec, from, &value);
    return value;
  };
  StepResult result;
  result.loss = double(number(at.loss, 0.f));
  result.probabilities.resize(size_t(at.probabilities.size));
  backend.download(exec, at.probabilities, result.probabilities.data());
  if (!o_.scaling) return result;
  result.skipped = number(finite_.buffer(), int32_t{0}) == 0;
  result.loss_scale = double(number(dloss_.buffer(), 0.f));
  skipped_in_a_row_ = result.skipped ? skipped_in_a_row_ + 1 : 0;
  if (skipped_in_a_row_ == o_.scaling->give_up) result.not_finite = first_not_finite(exec, slot, at);
  return result;
}

// In the order in which a step computes: images, outputs of the layers, loss, gradients from the last layer to the first.
std::string Stepper::first_not_finite(Exec& exec, const Slot& slot, const Places& at) {
  const std::string output = first_not_finite_output(model_, exec, slot.input.images, slot.source, o_.runner.compute);
  if (!output.empty()) return output;
  if (!all_finite(model_, exec, at.loss)) return "the loss";
  for (auto it = optimizer_state_.rbegin(); it != optimizer_state_.rend(); ++it)
    if (!all_finite(model_, exec, gradient(*it->first))) return "the gradient of " + it->first->key();
  return "a gradient inside the base";
}

}  // namespace ptrain
