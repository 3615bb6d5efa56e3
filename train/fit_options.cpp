#include "train/fit_options.hpp"

#include "kernels/error.hpp"

namespace ptrain {

BnMode parse_bn_mode(const std::string& text) {
  if (text == "inference") return BnMode::inference;
  if (text == "frozen") return BnMode::frozen;
  if (text == "train") return BnMode::train;
  fail(ErrorKind::usage, "--bn ", text, ": known are inference, frozen, train");
}

void check(const FitOptions& o) {
  const auto need = [](bool good, const auto&... message) {
    if (!good) fail(ErrorKind::usage, message...);
  };
  need(o.batch >= 1 && o.batch <= 4096, "--batch must lie in 1 … 4096, not ", o.batch);
  need(o.patience >= 0, "--patience must not be negative");
  need(o.min_delta >= 0, "--min-delta must not be negative");
  need(o.monitor == "val_loss" || o.monitor == "val_auc", "--monitor ", o.monitor, ": known are val_loss, val_auc");
  const ScheduleOptions& s = o.schedule;
  need(s.kind == "constant" || s.kind == "cosine" || s.kind == "exponential" || s.kind == "plateau", "--schedule ", s.kind,
       ": known are constant, cosine, exponential, plateau");
  need(s.warmup_epochs >= 0, "--warmup-epochs must not be negative");
  need(s.warmup_epochs == 0 || s.kind == "cosine", "--warmup-epochs needs --schedule cosine");
  need(s.decay_rate > 0 && s.decay_rate <= 1, "--decay-rate must lie in (0, 1], not ", s.decay_rate);
  need(s.plateau_factor > 0 && s.plateau_factor < 1, "--plateau-factor must lie in (0, 1), not ", s.plateau_factor);
  need(s.plateau_patience >= 0, "--plateau-patience must not be negative");
  int64_t epochs = 0;
  for (const StageOptions& stage : o.stages) {
    need(stage.epochs >= 0, "the number of epochs of stage '", stage.name, "' must not be negative");
    need(stage.learning_rate > 0 && stage.learning_rate < 1e3, "the learning rate of stage '", stage.name, "' must be positive, not ",
         stage.learning_rate);
    check(stage.augment);
    epochs += stage.epochs;
  }
  need(epochs > 0, "no epochs to train: --epochs and --fine-tune-epochs are both 0");
}

std::optional<LossScaling> scaling_of(const FitOptions& o) {
  if (o.compute == DType::float16) return LossScaling{};
  return {};
}

Schedule schedule_of(const ScheduleOptions& o, double rate, int64_t epochs, int64_t steps) {
  if (o.kind == "cosine") {
    const int64_t warmup = std::min(o.warmup_epochs, epochs) * steps, decay = std::max<int64_t>(1, epochs * steps - warmup);
    if (warmup == 0) return CosineDecay{.initial_learning_rate = rate, .decay_steps = decay, .warmup_target = {}};
    return CosineDecay{.initial_learning_rate = 0, .decay_steps = decay, .warmup_target = rate, .warmup_steps = warmup};
  }
  if (o.kind == "exponential")
    return ExponentialDecay{.initial_learning_rate = rate, .decay_steps = std::max<int64_t>(1, steps), .decay_rate = o.decay_rate};
  return ConstantSchedule{rate};
}

}  // namespace ptrain
