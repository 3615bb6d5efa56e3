// defines: Stepper, one optimizer step after the other, with the frozen part of the next batch under way
#pragma once

#include <deque>

#include "kernels/optimizer.hpp"
#include "train/feature_store.hpp"
#include "train/loss_scaling.hpp"

namespace ptrain {

struct StepInput {
  std::vector<int64_t> images;  // numbers that the source understands; they also key the dropout
  std::vector<int32_t> labels;
  uint32_t epoch = 0;
};

struct StepResult {
  double loss = 0;                   // Keras' loss: mean of class-weighted cross entropies + L2
  std::vector<float> probabilities;  // [images, classes]
  bool skipped = false;              // with a loss scale: a gradient was not finite, and nothing was changed but the scale
  double loss_scale = 1;             // of the next step
  std::string not_finite;            // the first tensor that was not finite, when LossScaling::give_up steps in a row were skipped
};

struct StepperOptions {
  RunnerOptions runner;
  OptimizerRule rule;
  std::vector<float> class_weights;  // one a class
  uint64_t seed = 0;
  std::optional<LossScaling> scaling = {};  // needed by float16; the gradients are scaled from the loss to the optimizer
};

// A step: frozen part in shards → trainable part of the base in groups, each on its own tape → head on the whole batch → backward
// the same way → gradients of the groups summed in order → unscaled and checked → L2 → optimizer. Results depend on the batch and on the
// options alone. The host waits for the device once a step, at its end, to read the loss: what a step decides is decided on the device.
// A device that records gets all from the boundary to the optimizer in one piece from the third batch of a size on.
// The base computes in options.runner.compute; head, loss, gradients of weights and the weights themselves are float32.
class Stepper {
 public:
  Stepper(Model& model, Workers& workers, StepperOptions options);
  ~Stepper();

  // Starts the frozen part of a batch; it runs while earlier batches train. At most two may be waiting.
  // With a store the frozen part runs only for images that the store has not seen: for sources that show an image the same each time.
  void prepare(StepInput input, ImageSource source, FeatureStore* store = nullptr);
  size_t prepared() const { return waiting_.size(); }
  StepResult step(double learning_rate);  // trains the batch that was prepared first

  BaseRunner& runner() { return runner_; }
  int64_t iterations() const;                // steps that were not skipped
  std::optional<double> loss_scale() const;  // of the next step; none without scaling
  int64_t recorded() const;                  // of how many sizes of batches the device has the step as a recording

  // For checkpoints: a name, and the tensor that must come back under it.
  std::vector<std::pair<std::string, Tensor>> state();

 private:
  struct Slot;
  struct Places;
  Places& places_of(const Slot& slot);
  void fill(Exec& exec, const Slot& slot, Places& at, double learning_rate);
  void step_on_host(Slot& slot, Places& at);
  void step_on_device(Exec& exec, Slot& slot, Places& at);
  void compute(Exec& exec, Places& at);
  void forget();
  void head_step(Exec& exec, Places& at, const std::vector<Boundary>& borders, Tensor& dpooled);
  void group_backward(Exec& exec, int64_t group, const Tensor& dpooled);
  void update(Exec& exec, const Places& at);
  StepResult read(Exec& exec, const Slot& slot, const Places& at);
  std::string first_not_finite(Exec& exec, const Slot& slot, const Places& at);
  Buffer gradient(const Param& param) const;
  Exec& exec_of(Worker& worker) {
    if (!whole_step_) return *worker.exec;
    whole_step_->profile = worker.exec->profile;
    return *whole_step_;
  }

  Model& model_;
  Workers& workers_;
  StepperOptions o_;
  BaseRunner runner_;
  // Of devices; and on a host all threads inside each operation, where batch statistics bind the images together.
  std::unique_ptr<Exec> whole_step_;
  std::shared_ptr<Memory> head_memory_;  // only for the head of the step at work: what is recorded finds it as it was
  std::vector<BaseRunner::Group> groups_;
  std::vector<int64_t> group_rows_;  // of the step at work
  Tape head_tape_;
  Tensor class_weights_, iterations_;
  Tensor dloss_;                                       // what backward begins with: 1, or the loss scale
  Tensor finite_, finite_steps_;                       // int32[1], with a loss scale: of this step, and how many such steps in a row
  CrossEntropy out_;                                   // of the step at work
  std::map<int64_t, std::unique_ptr<Places>> places_;  // by images in the batch
  int64_t skipped_in_a_row_ = 0;
  std::vector<std::pair<Param*, std::vector<Tensor>>> optimizer_state_;
  std::deque<std::unique_ptr<Slot>> waiting_;
};

}  // namespace ptrain
