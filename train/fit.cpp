#include "train/fit.hpp"

#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "data/shuffle.hpp"
#include "train/class_priors.hpp"
#include "train/class_weights.hpp"
#include "train/decision.hpp"
#include "train/interrupt.hpp"
#include "train/metrics/evaluation.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain {
namespace {

double seconds_now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

size_t argmax(std::span<const float> row) { return size_t(std::max_element(row.begin(), row.end()) - row.begin()); }

// Of the positive class; of more than two classes the mean of one against the rest, over those for which it is defined.
double auc(const metrics::Predictions& p, int positive) {
  if (p.classes.size() == 2) return metrics::roc_auc(p.labels_against(positive), p.scores(positive));
  double sum = 0;
  int defined = 0;
  for (int c = 0; c < int(p.classes.size()); ++c)
    if (const double a = metrics::roc_auc(p.labels_against(c), p.scores(c)); !std::isnan(a)) sum += a, ++defined;
  return sum / defined;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

// What lives as long as a stage.
struct Fit::Stage {
  Stage(Model& model, Workers& workers, const FitOptions& o, const StageOptions& s, StepperOptions stepping, const FitData& data)
      : options(s),
        stepper(model, workers, std::move(stepping)),
        predictor(model, stepper.runner(), workers) {
    int64_t budget = o.feature_budget;
    validation = FeatureStore::within(budget, stepper.runner(), data.val);
    if (s.augment == AugmentOptions{}) training = FeatureStore::within(budget, stepper.runner(), data.train);
  }

  const StageOptions& options;
  Stepper stepper;
  Predictor predictor;
  std::optional<FeatureStore> validation, training;  // training: when the images are not augmented
};

Fit::Fit(Model& model, Workers& workers, const FitData& data, FitOptions options, RunFolder& run, Attributes extra)
    : model_(model),
      workers_(workers),
      data_(data),
      o_(std::move(options)),
      run_(run),
      extra_(std::move(extra)) {
  check(o_);
  std::vector<int64_t> counts(model.spec.classes.size(), 0);
  for (const int64_t i : data.train) ++counts.at(size_t(data.cache.label(i)));
  class_weights_ = class_weights(o_.class_weights, counts, model.spec.classes);
  model_.spec.training_priors = seen_priors(counts, class_weights_);
  model_.spec.priors.clear(), model_.spec.operating_point.clear();
}

void Fit::run(std::optional<Position> from, const WeightFileReader* state) {
  if (from) position_ = *from;
  if (state) read_tuned(*state, model_.memory()->backend());
  const InterruptGuard guard;
  store_images();
  for (; position_.stage < int64_t(o_.stages.size()); ++position_.stage) {
    free_memory_ = model_.memory()->backend().memory_info().free;
    try {
      run_stage(std::exchange(state, nullptr));
    } catch (const OutOfMemory& e) {
      const int64_t batch = batch_that_fits();
      fail(ErrorKind::device, "training with batches of ", o_.batch, ": ", e.facts(), "\n  ",
           batch > 0 ? concat("try --batch ", batch)
                     : std::string("not even single images fit: try a smaller --image-size, or --device cpu"));
    }
    position_.stage_epoch = 0;
    position_.stopping = {}, position_.plateau = {}, position_.plateau_rate = 0;
  }
  finish();
}

// The images go to the device when they fit beside the largest stage and an eighth of its memory, which the libraries may need to work in.
void Fit::store_images() {
  if (model_.memory()->backend().is_host()) return;
  const int64_t needed = memory_of_training(model_, workers_, o_, int64_t(data_.train.size() + data_.val.size()));
  std::vector<int64_t> all = data_.train;
  all.insert(all.end(), data_.val.begin(), data_.val.end());
  const MemoryInfo memory = model_.memory()->backend().memory_info();
  images_.emplace(data_.cache, all, model_.memory(), memory.free - needed - memory.total / 8);
  run_.message(images_->describe());
}

// The largest batch, of those that are halves of halves, whose stage fits into the memory as it was before it. 0: none does.
int64_t Fit::batch_that_fits() const {
  FitOptions smaller = o_;
  for (smaller.batch = o_.batch / 2; smaller.batch > 0; smaller.batch /= 2)
    if (memory_of_stage(model_, workers_, smaller, int64_t(data_.train.size() + data_.val.size())) < free_memory_ - free_memory_ / 8) break;
  return smaller.batch;
}

void Fit::run_stage(const WeightFileReader* state) {
  const StageOptions& options = o_.stages.at(size_t(position_.stage));
  if (options.epochs == 0) return;
  freeze(model_, options, o_.bn);
  Stage stage(model_, workers_, o_, options,
              {.runner = runner_options(model_, o_),
               .rule = o_.optimizer,
               .class_weights = class_weights_,
               .seed = o_.seed,
               .scaling = scaling_of(o_)},
              data_);
  if (state) read_optimizer(*state, stage.stepper);
  run_.message(fmt::format("stage '{}': {} of {} numbers are trained, learning rate {:g}, batch {}", options.name,
                           model_.params.count(true), model_.params.count(), options.learning_rate, o_.batch));
  EarlyStopping stopping({.direction = o_.direction(), .patience = o_.patience, .min_delta = o_.min_delta, .baseline = {}},
                         position_.stopping);
  while (position_.stage_epoch < options.epochs && !position_.stopping.stop) {
    const double began = seconds_now();
    train_epoch(stage);
    Logs logs = validate(stage);
    const EarlyStopping::Decision decision = stopping.on_epoch_end(position_.stage_epoch, logs.at(o_.monitor));
    position_.stopping = stopping.state();
    if (decision.keep_weights && improves(o_.direction(), logs.at(o_.monitor), position_.best_value, 0)) keep_best(logs);
    end_epoch(stage, logs, seconds_now() - began);
  }
  if (position_.stopping.stop)
    run_.message(fmt::format("stage '{}' ends after {} epochs: {} has not become better for {}", options.name, position_.stage_epoch,
                             o_.monitor, o_.patience));
  if (position_.best_epoch >= 0) {  // the next stage starts from the best weights, and the last one ends with them
    const WeightFileReader best(run_.best());
    load_weights(model_.params, best);
    model_.params.refresh_copies();
  }
}

void Fit::train_epoch(Stage& stage) {
  const std::vector<int64_t> order = shuffled(data_.train, o_.seed, uint32_t(position_.epoch));
  const int64_t n = int64_t(order.size()), steps = ceil_div(n, o_.batch);
  const Schedule schedule = schedule_of(o_.schedule, stage.options.learning_rate, stage.options.epochs, steps);
  const ImageSource source =
      augmented_source(model_, data_.cache, stage.options.augment, o_.seed, uint32_t(position_.epoch), images_ ? &*images_ : nullptr);
  const bool ahead = !stage.stepper.runner().options().batch_statistics;  // else threads inside the operations need all processors
  run_.progress().begin_epoch(
      {.name = stage.options.name, .number = position_.stage_epoch + 1, .epochs = stage.options.epochs, .steps = steps});

  int64_t next = position_.step;
  const auto prepare = [&] {
    const std::span images = std::span(order).subspan(size_t(next * o_.batch), size_t(std::min(o_.batch, n - next * o_.batch)));
    StepInput input{.images = {images.begin(), images.end()}, .labels = {}, .epoch = uint32_t(position_.epoch)};
    for (const int64_t i : images) input.labels.push_back(data_.cache.label(i));
    stage.stepper.prepare(std::move(input), source, stage.training ? &*stage.training : nullptr);
    ++next;
  };
  EpochTotals& totals = position_.totals;
  for (; position_.step < steps; stop_if_interrupted(stage)) {
    while (next < steps && stage.stepper.prepared() < (ahead ? 2u : 1u)) prepare();
    const double rate = position_.plateau_rate > 0 ? position_.plateau_rate : double(learning_rate(schedule, stage.stepper.iterations()));
    const int64_t first = position_.step * o_.batch, count = std::min(o_.batch, n - first);
    const StepResult result = stage.stepper.step(rate);
    check_progress(stage, result, rate);
    totals.skipped += result.skipped;
    ++position_.step;
    if (!std::isfinite(result.loss)) continue;  // of a step that was skipped
    const int64_t classes = model_.spec.head.classes;
    for (int64_t i = 0; i < count; ++i) {
      const int32_t label = data_.cache.label(order[size_t(first + i)]);
      const std::span row = std::span(result.probabilities).subspan(size_t(i * classes), size_t(classes));
      totals.correct += int64_t(argmax(row)) == label;
      totals.scores.push_back(row[size_t(model_.spec.positive)]);
      totals.labels.push_back(label == model_.spec.positive);
    }
    totals.loss += result.loss * double(count);
    totals.images += count;
    run_.progress().step(count, totals.loss / double(totals.images));
  }
}

// Error{diverged} when training cannot go on. Skipped steps changed no weight, so the model of now is still good: it is saved.
void Fit::check_progress(Stage& stage, const StepResult& result, double rate) {
  const std::string where =
      concat("step ", position_.step + 1, " of epoch ", position_.stage_epoch + 1, " in stage '", stage.options.name, "'");
  const std::string good = position_.best_epoch >= 0 ? "\n  the best model so far is " + run_.best().string() : "";
  if (!result.not_finite.empty()) {
    save(stage);
    fail(ErrorKind::diverged, "training diverged: the gradients of ", LossScaling{}.give_up, " steps in a row, up to ", where,
         ", are not finite at a loss scale of ", result.loss_scale, "\n  the first tensor that is not finite is ", result.not_finite, good,
         "\n  the weights before these steps are in ", run_.last().string(),
         "\n  try --precision bf16 or fp32, or a lower learning rate than ", rate);
  }
  if (!std::isfinite(result.loss) && !result.skipped)
    fail(ErrorKind::diverged, "training diverged: the loss of ", where, " is ", result.loss, good, "\n  try a lower learning rate than ",
         rate);
}

// Keras' logs of an epoch: the training numbers as they were at each step, the validation numbers with the weights as they are now.
Logs Fit::validate(Stage& stage) {
  const EpochTotals& t = position_.totals;
  Logs logs{{"loss", t.loss / double(t.images)}, {"accuracy", double(t.correct) / double(t.images)}};
  const bool binary = model_.spec.classes.size() == 2;
  if (binary) logs["auc"] = metrics::roc_auc(t.labels, std::vector<double>(t.scores.begin(), t.scores.end()));

  const metrics::Predictions p = predict(model_, stage.predictor, data_.cache, data_.val, data_.patients,
                                         stage.validation ? &*stage.validation : nullptr, {}, images_ ? &*images_ : nullptr);
  const std::vector<int32_t> chosen = p.most_likely();
  const size_t classes = p.classes.size();
  double loss = 0;
  int64_t correct = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    loss -= std::log(std::max(p.probabilities[i * classes + size_t(p.labels[i])], 1e-300));
    correct += chosen[i] == p.labels[i];
  }
  double l2 = 0;
  for (const std::string& key : l2_kernels(model_.spec.head))
    for (const double w : model_.params.at(key).value.to_doubles()) l2 += model_.spec.head.l2 * w * w;
  logs["val_loss"] = loss / double(p.size()) + l2;
  logs["val_accuracy"] = double(correct) / double(p.size());
  logs["val_auc"] = auc(p, model_.spec.positive);
  return logs;
}

void Fit::end_epoch(Stage& stage, const Logs& validated, double seconds) {
  Logs logs = validated;
  const int64_t steps = position_.step;
  const Schedule schedule = schedule_of(o_.schedule, stage.options.learning_rate, stage.options.epochs, steps);
  const double rate = position_.plateau_rate > 0 ? position_.plateau_rate : double(learning_rate(schedule, stage.stepper.iterations() - 1));
  logs["learning_rate"] = rate;
  if (o_.schedule.kind == "plateau") {
    ReduceLROnPlateau plateau({.direction = o_.direction(), .factor = o_.schedule.plateau_factor, .patience = o_.schedule.plateau_patience},
                              position_.plateau);
    position_.plateau_rate = double(plateau.on_epoch_end(logs.at(o_.monitor), float(rate)));
    position_.plateau = plateau.state();
  }
  run_.progress().end_epoch(logs);
  nlohmann::ordered_json more{{"stage", stage.options.name},
                              {"stage_epoch", position_.stage_epoch},
                              {"seconds", seconds},
                              {"images_per_s", double(position_.totals.images) / seconds},
                              {"best", position_.best_epoch == position_.epoch}};
  if (const auto scale = stage.stepper.loss_scale()) more["loss_scale"] = *scale, more["skipped_steps"] = position_.totals.skipped;
  run_.epoch(position_.epoch, logs, more);
  ++position_.epoch, ++position_.stage_epoch;
  position_.step = 0;
  position_.totals = {};
  save(stage);
  stop_if_interrupted(stage);
}

void Fit::keep_best(const Logs& logs) {
  Attributes extra = extra_;
  extra["epoch"] = position_.epoch;
  extra["stage"] = o_.stages.at(size_t(position_.stage)).name;
  for (const auto& [name, value] : logs) extra[name] = value;
  save_model(model_, run_.best(), extra);
  position_.best_value = logs.at(o_.monitor);
  position_.best_epoch = position_.epoch;
}

void Fit::save(Stage& stage) { save_checkpoint(run_.last(), model_, extra_, position_, stage.stepper); }

void Fit::stop_if_interrupted(Stage& stage) {
  const int signal = InterruptGuard::signal_received();
  if (signal == 0) return;
  save(stage);
  throw Interrupted(signal, concat("interrupted in stage '", stage.options.name, "', epoch ", position_.stage_epoch + 1, ", after ",
                                   position_.step, " of its steps; everything is saved in ", run_.last().string(),
                                   "\n  go on with: ptrain train --resume --out ", run_.path().string()));
}

// The best weights are in the model. Temperature and threshold are chosen on the validation images and stored with them.
void Fit::finish() {
  freeze(model_, {.cut = model_.base_layers().size()}, o_.bn);
  BaseRunner runner(model_, workers_, runner_options(model_, o_));
  Predictor predictor(model_, runner, workers_);
  model_.spec.temperature = 1;
  const metrics::Predictions plain =
      predict(model_, predictor, data_.cache, data_.val, data_.patients, nullptr, {}, images_ ? &*images_ : nullptr);
  const bool binary = plain.classes.size() == 2;
  const Decision decision = decide(plain, model_.spec.positive, o_.operating_point);
  model_.spec.temperature = decision.temperature.temperature, model_.spec.threshold = decision.threshold;
  if (binary) model_.spec.operating_point = decision.point.text();
  const metrics::Predictions p = at_temperature(plain, model_.spec.temperature);
  const WeightFileReader best(run_.best());
  Attributes extra = extra_;
  for (const auto& [name, value] : best.attributes())
    if (!extra.contains(name)) extra[name] = value;
  const metrics::Evaluation evaluation =
      metrics::evaluate(p, {.threshold = model_.spec.threshold, .positive = binary ? model_.spec.positive : -1, .seed = o_.seed});
  extra["calibration"] = to_json(decision, binary).dump();
  extra["validation"] = metrics::to_json(evaluation).dump();
  save_model(model_, run_.best(), extra);
}

void freeze(Model& model, const StageOptions& stage, BnMode bn) {
  std::unordered_set<std::string> frozen;
  for (size_t i = 0; i < model.base_layers().size(); ++i) {
    const LayerSpec& spec = model.base_layers()[i].spec;
    if (i < stage.cut || (bn == BnMode::frozen && spec.type == "BatchNormalization")) frozen.insert(spec.name);
  }
  model.params.freeze([&](const std::string& layer) { return frozen.contains(layer); });
}

RunnerOptions runner_options(const Model& model, const FitOptions& o) {
  int64_t trained = 0;  // bytes of one copy of the base's gradients
  for (const Param& p : model.params.list())
    if (p.trainable() && !is_head_layer(p.layer)) trained += p.shape.size() * 4;
  const bool batch_statistics = o.bn == BnMode::train && trained > 0;
  if (!model.memory()->backend().is_host())
    return {.shard = o.batch, .group = o.batch, .batch_statistics = batch_statistics, .compute = o.compute};
  // Each group reorders the weights once more and has gradients of its own: the more there are, the fewer groups.
  const int64_t group = batch_statistics ? o.batch : std::max<int64_t>(1, ceil_div(o.batch, trained > (32 << 20) ? 2 : 4));
  return {.shard = 1, .group = group, .batch_statistics = batch_statistics, .compute = o.compute};
}

int64_t memory_of_stage(Model& model, Workers& workers, const FitOptions& o, int64_t images) {
  BaseRunner runner(model, workers, runner_options(model, o));
  int64_t states = 0;  // and the gradients
  for (const Param& p : model.params.list())
    if (p.trainable()) states += p.shape.size() * 4 * (o.optimizer.states() + 1);
  return runner.planned_bytes(o.batch) + states + std::min(o.feature_budget, images * runner.border_bytes_per_image());
}

int64_t memory_of_training(Model& model, Workers& workers, const FitOptions& o, int64_t images) {
  int64_t most = 0;
  for (const StageOptions& stage : o.stages) {
    if (stage.epochs == 0) continue;
    freeze(model, stage, o.bn);
    most = std::max(most, memory_of_stage(model, workers, o, images));
  }
  return most;
}

metrics::Predictions predict(Model& model, Predictor& predictor, const ImageCache& cache, std::span<const int64_t> images,
                             std::span<const std::string> patients, FeatureStore* store, const std::function<void(int64_t)>& progress,
                             const DeviceImages* stored) {
  metrics::Predictions p{.classes = model.spec.classes, .labels = {}, .probabilities = {}, .patients = {}};
  for (const int64_t i : images) {
    p.labels.push_back(cache.label(i));
    if (!patients.empty()) p.patients.push_back(patients[size_t(i)]);
  }
  const std::vector<double> logits = predictor.logits(images, plain_source(model, cache, stored), store, progress);
  p.probabilities = apply_temperature(logits, int(model.spec.classes.size()), model.spec.temperature);
  return p;
}

}  // namespace ptrain
