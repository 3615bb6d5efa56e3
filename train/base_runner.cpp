#include "train/base_runner.hpp"

#include "kernels/meta/meta.hpp"

namespace ptrain {
namespace {

constexpr int kPooled = -1;  // stands for the output of a base that is frozen as a whole

Shape with_rows(const Shape& s, int64_t n) {
  Shape t{n};
  for (int i = 1; i < s.rank(); ++i) t.push_back(s[i]);
  return t;
}

}  // namespace

void copy_rows(Backend& backend, Exec& exec, const Tensor& from, int64_t from_row, const Tensor& to, int64_t to_row, int64_t rows) {
  const int64_t width = to.size() / to.dim(0);
  backend.copy(exec, from.buffer().slice(from_row * width, rows * width), to.buffer().slice(to_row * width, rows * width));
}

BaseRunner::BaseRunner(Model& model, Workers& workers, RunnerOptions options)
    : model_(model),
      o_(options),
      meta_(open_device({DeviceKind::meta})) {
  for (int i = 0; i < workers.threads(); ++i)
    arenas_.push_back(std::make_shared<Arena>(model.memory()->shared_backend(), model.memory()->device()));
  meta::MetaExec exec;
  Tape tape;
  Context c{meta_->backend(), exec, meta_, tape};
  Tensor pooled;
  {
    Scope scope(c, model.params, {.record = true, .batch_statistics = o_.batch_statistics, .trace = &cut_});
    pooled = model.body(scope, c.tensor(model.input(1), o_.compute));
    all_frozen_ = !tape.wants_grad(pooled);
    tape.clear();
  }
  if (all_frozen_) {
    crossing_.emplace_back(kPooled, pooled.shape());
    return;
  }
  Boundary boundary;
  Scope scope(c, model.params, {.part = NetPart::frozen, .cut = &cut_, .boundary = &boundary});
  model.body(scope, c.tensor(model.input(1), o_.compute));
  for (const auto& [step, tensor] : boundary) crossing_.emplace_back(step, tensor.shape());
}

Boundary BaseRunner::border_in(const std::shared_ptr<Memory>& memory, int64_t rows) const {
  Boundary border;
  for (const auto& [step, shape] : crossing_) border.emplace_back(step, Tensor(with_rows(shape, rows), o_.compute, memory));
  return border;
}
Boundary BaseRunner::make_border(int64_t rows) const { return border_in(model_.memory(), rows); }

int64_t BaseRunner::border_bytes_per_image() const {
  int64_t bytes = 0;
  for (const auto& crossing : crossing_) bytes += crossing.second.size() * size_of(o_.compute);
  return bytes;
}

// Borders: of three batches on their way, the one at work included, of the recorded step, and of a piece of the validation. Weights are
// packed for the frozen part, and for the rest when it is validated.
int64_t BaseRunner::planned_bytes(int64_t n) {
  const int64_t shard = std::min(n, o_.shard);
  int64_t bytes = 5 * n * border_bytes_per_image();
  for (const Param& p : model_.params.list())
    if (!is_head_layer(p.layer)) bytes += p.shape.size() * size_of(o_.compute) + 256;
  const auto workers = int64_t(arenas_.size());  // each has an arena of its own
  const int64_t frozen =
      workers * plan(Pass::frozen, shard, [&](Context& c) { frozen_chain(c, c.tensor(model_.input(shard), o_.compute)); })->total;
  if (all_frozen_) return bytes + frozen;
  const int64_t infer = workers * plan(Pass::infer, shard, [&](Context& c) { infer_chain(c, border_in(meta_, shard), 0, shard); })->total;
  const int64_t rows = std::min(n, o_.group), groups = (n + rows - 1) / rows;
  return bytes + std::max(frozen, infer) + groups * plan_of_group(border_in(meta_, rows))->total;
}

// A pass is run once on the meta device, which shows what memory it asks for and when; every real run follows that plan.
std::shared_ptr<const MemoryPlan> BaseRunner::plan(Pass pass, int64_t n, const Body& body) {
  const std::lock_guard lock(plans_mutex_);
  auto& plan = plans_[{pass, n}];
  if (!plan) {
    const auto recorder = std::make_shared<PlanRecorder>(meta_->shared_backend(), meta_->device());
    {
      meta::MetaExec exec;
      Tape tape;
      Context c{meta_->backend(), exec, recorder, tape};
      body(c);
    }
    plan = std::make_shared<const MemoryPlan>(recorder->plan());
  }
  return plan;
}

void BaseRunner::run(Worker& worker, Pass pass, int64_t n, const Body& body) {
  const auto planned = plan(pass, n, body);
  const auto& arena = arenas_.at(size_t(worker.index));
  arena->begin(planned);
  Tape tape;
  Context c{model_.memory()->backend(), *worker.exec, arena, tape};
  body(c);
}

// What crosses the cut. It lies in the memory of the pass, where nothing else comes until the next one begins.
std::vector<Buffer> BaseRunner::frozen_chain(Context& c, const Tensor& x) {
  FrozenWeights no_values;  // of the planning pass
  Boundary crossed;
  ScopeOptions options{.frozen = c.memory->device().kind == DeviceKind::meta ? &no_values : &packed_frozen_};
  if (!all_frozen_) options.part = NetPart::frozen, options.cut = &cut_, options.boundary = &crossed;
  Scope scope(c, model_.params, options);
  const Tensor y = model_.body(scope, x);
  if (all_frozen_) crossed.emplace_back(kPooled, y);
  std::vector<Buffer> buffers;
  for (const auto& [step, tensor] : crossed) buffers.push_back(tensor.buffer());
  return buffers;
}

void BaseRunner::frozen(Worker& worker, std::span<const int64_t> images, const ImageSource& source, const Boundary& border,
                        int64_t first_row) {
  const int64_t n = int64_t(images.size());
  run(worker, Pass::frozen, n, [&](Context& c) {
    const Tensor x = c.tensor(model_.input(n), o_.compute);
    source(images, c, x.buffer());
    std::vector<Buffer> crossed;
    if (!c.backend.records()) {
      crossed = frozen_chain(c, x);
    } else {
      std::unique_lock lock(plans_mutex_);
      Chain& chain = chains_[{worker.index, n}];
      lock.unlock();
      const auto work = [&] {
        arenas_.at(size_t(worker.index))->rewind(1);  // after x, should an attempt to record it have failed
        chain.crossed = frozen_chain(c, x);
      };
      chain.repeated.run(
          c.backend, c.exec, [&] { return std::vector<const void*>{x.buffer().data}; }, work);
      crossed = chain.crossed;
    }
    for (size_t i = 0; i < border.size(); ++i) {
      const Tensor& to = border[i].second;
      const int64_t width = to.size() / to.dim(0);
      c.backend.copy(c.exec, crossed.at(i), to.buffer().slice(first_row * width, n * width));
    }
  });
}

int64_t BaseRunner::recorded() const {
  const std::lock_guard lock(plans_mutex_);
  return std::count_if(chains_.begin(), chains_.end(), [](const auto& c) { return c.second.repeated.recorded(); });
}

void BaseRunner::infer(Worker& worker, const Boundary& border, int64_t border_row, int64_t rows, const Tensor& pooled, int64_t first_row) {
  if (all_frozen_) {
    Tape tape;
    Context c{model_.memory()->backend(), *worker.exec, nullptr, tape};
    copy_rows(c.backend, c.exec, border.at(0).second, border_row, pooled, first_row, rows);
    return;
  }
  run(worker, Pass::infer, rows,
      [&](Context& c) { copy_rows(c.backend, c.exec, infer_chain(c, border, border_row, rows), 0, pooled, first_row, rows); });
}

Tensor BaseRunner::infer_chain(Context& c, const Boundary& border, int64_t border_row, int64_t rows) {
  FrozenWeights no_values;
  Boundary mine;
  for (const auto& [step, tensor] : border) {
    mine.emplace_back(step, c.tensor(with_rows(tensor.shape(), rows), tensor.dtype()));
    copy_rows(c.backend, c.exec, tensor, border_row, mine.back().second, 0, rows);
  }
  Scope scope(c, model_.params,
              {.frozen = c.memory->device().kind == DeviceKind::meta ? &no_values : &packed_live_,
               .part = NetPart::trainable,
               .cut = &cut_,
               .boundary = &mine});
  return model_.body(scope, Tensor::shape_only(model_.input(rows), o_.compute));
}

BaseRunner::Group BaseRunner::make_group() const {
  Group g;
  g.arena_ = std::make_shared<Arena>(model_.memory()->shared_backend(), model_.memory()->device());
  g.tape_ = std::make_unique<Tape>();
  return g;
}

Tensor BaseRunner::group_forward(Context& c, const Boundary& border) {
  Boundary mine = border;
  const int64_t n = border.at(0).second.dim(0);
  Scope scope(c, model_.params,
              {.record = true, .batch_statistics = o_.batch_statistics, .part = NetPart::trainable, .cut = &cut_, .boundary = &mine});
  return model_.body(scope, Tensor::shape_only(model_.input(n), o_.compute));
}

std::shared_ptr<const MemoryPlan> BaseRunner::plan_of_group(const Boundary& border) {
  return plan(Pass::group, border.at(0).second.dim(0), [&](Context& c) {
    const Tensor pooled = group_forward(c, border);
    const Tensor seed = c.like(pooled);
    c.tape.backward(c, pooled, seed);
  });
}

void BaseRunner::forward(Exec& exec, Group& group, const Boundary& border) {
  REQUIRE_THAT(!group.pooled_.defined(), "forward: this group was not released");
  group.arena_->begin(plan_of_group(border));
  Context c{model_.memory()->backend(), exec, group.arena_, *group.tape_};
  group.pooled_ = group_forward(c, border);
}

void BaseRunner::backward(Exec& exec, Group& group, Buffer dpooled) {
  Context c{model_.memory()->backend(), exec, group.arena_, *group.tape_};
  const Tensor seed = c.like(group.pooled_);
  c.copy_as(dpooled, seed.buffer());
  group.tape_->backward(c, group.pooled_, seed);
}

void BaseRunner::release(Group& group) {
  group.tape_->clear();
  group.pooled_ = {};
}

void BaseRunner::weights_changed() { packed_live_.clear(); }

}  // namespace ptrain
