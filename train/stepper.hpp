// defines: Stepper, one optimizer step after the other, with the frozen part of the next batch under way
#pragma once

#include <deque>

#include "kernels/optimizer.hpp"
#include "train/base_runner.hpp"

namespace ptrain {

struct StepInput {
  std::vector<int64_t> images;  // numbers that the source understands; they also key the dropout
  std::vector<int32_t> labels;
  uint32_t epoch = 0;
};

struct StepResult {
  double loss = 0;                    // Keras' loss: mean of class-weighted cross entropies + L2
  std::vector<float> probabilities;   // [images, classes]
};

struct StepperOptions {
  RunnerOptions runner;
  OptimizerRule rule;
  std::vector<float> class_weights;  // one a class
  uint64_t seed = 0;
};

// A step: frozen part in shards → trainable part of the base in groups, each on its own tape → head on the whole batch → backward
// the same way → gradients of the groups summed in order → L2 → optimizer. Results depend on the batch and on the options alone.
class Stepper {
 public:
  Stepper(Model& model, Workers& workers, StepperOptions options);
  ~Stepper();

  // Starts the frozen part of a batch; it runs while earlier batches train. At most two may be waiting.
  void prepare(StepInput input, ImageSource source);
  size_t prepared() const { return waiting_.size(); }
  StepResult step(double learning_rate);  // trains the batch that was prepared first

  BaseRunner& runner() { return runner_; }
  int64_t iterations() const;

  // For checkpoints: a name, and the tensor that must come back under it.
  std::vector<std::pair<std::string, Tensor>> state();

 private:
  struct Slot;
  void groups_forward(Slot& slot);
  void groups_backward(const Tensor& dpooled);
  StepResult head_step(Exec& exec, Slot& slot, Tensor& dpooled);
  void update(Exec& exec, double learning_rate);
  Exec& exec_of(Worker& worker) { return whole_batch_ ? *whole_batch_ : *worker.exec; }

  Model& model_;
  Workers& workers_;
  StepperOptions o_;
  BaseRunner runner_;
  std::unique_ptr<Exec> whole_batch_;  // all threads inside each operation: where batch statistics bind the images together
  std::vector<BaseRunner::Group> groups_;
  std::vector<int64_t> group_rows_;  // of the step at work
  Tape head_tape_;
  Tensor class_weights_, one_, iterations_;
  std::vector<std::pair<Param*, std::vector<Tensor>>> optimizer_state_;
  std::deque<std::unique_ptr<Slot>> waiting_;
};

}  // namespace ptrain
