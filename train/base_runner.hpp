// defines: BaseRunner, which runs the base of a model on shards and groups of images out of planned memory
#pragma once

#include <functional>
#include <map>
#include <mutex>

#include "train/model.hpp"
#include "train/repeated.hpp"
#include "train/workers.hpp"

namespace ptrain {

// How the base is run. Where batch norms use running statistics images do not depend on each other, so the sizes change no result
// but through the order of sums: they are fixed by the net and the batch, never by the number of threads.
struct RunnerOptions {
  int64_t shard = 1;              // images in one pass of the frozen part
  int64_t group = 8;              // images on one tape of the trainable part
  bool batch_statistics = false;  // unfrozen batch norms use the statistics of the batch: then a group is the whole batch
  DType compute = DType::float32;
};

// Writes these images, preprocessed, to x [images, h, w, 3]. Called by several threads.
using ImageSource = std::function<void(std::span<const int64_t> images, Context& context, Buffer x)>;

// Copies `rows` rows of one tensor to rows of another of the same width.
void copy_rows(Backend&, Exec&, const Tensor& from, int64_t from_row, const Tensor& to, int64_t to_row, int64_t rows);

class BaseRunner {
 public:
  // The trainable part and its gradients for up to `group` images. Lives from forward() to release().
  class Group {
   public:
    const Tensor& pooled() const { return pooled_; }
    const Tape& tape() const { return *tape_; }
    const void* place() const { return arena_->base(); }  // changes when forward() needs more memory than ever before

   private:
    friend class BaseRunner;
    std::shared_ptr<Arena> arena_;
    std::unique_ptr<Tape> tape_;
    Tensor pooled_;
  };

  BaseRunner(Model& model, Workers& workers, RunnerOptions options);

  const Cut& cut() const { return cut_; }
  bool all_frozen() const { return all_frozen_; }
  const RunnerOptions& options() const { return o_; }

  // Room for what crosses the cut: a tensor [rows, …] for each boundary step; the pooled features when all is frozen.
  Boundary make_border(int64_t rows) const;
  int64_t border_bytes_per_image() const;
  // Memory for training batches of n images: the passes and what waits between them.
  int64_t planned_bytes(int64_t n);
  // Runs the frozen part over images and writes rows [first_row, …) of the border.
  void frozen(Worker& worker, std::span<const int64_t> images, const ImageSource& source, const Boundary& border, int64_t first_row);
  // Pooled features [rows, c] of the whole base in inference, from the border rows, into `pooled` rows [first_row, …).
  void infer(Worker& worker, const Boundary& border, int64_t border_row, int64_t rows, const Tensor& pooled, int64_t first_row);

  Group make_group() const;
  void forward(Exec& exec, Group& group, const Boundary& border);  // border of exactly this group's images
  void backward(Exec& exec, Group& group, Buffer dpooled);
  static void release(Group& group);

  void weights_changed();    // what infer() packed from the trainable part is stale
  int64_t recorded() const;  // how many passes of the frozen part the device has as recordings

 private:
  enum class Pass { frozen, infer, group };
  using Body = std::function<void(Context&)>;
  std::shared_ptr<const MemoryPlan> plan(Pass pass, int64_t n, const Body& body);
  void run(Worker& worker, Pass pass, int64_t n, const Body& body);
  Boundary border_in(const std::shared_ptr<Memory>& memory, int64_t rows) const;
  std::vector<Buffer> frozen_chain(Context& context, const Tensor& x);
  Tensor infer_chain(Context& context, const Boundary& border, int64_t border_row, int64_t rows);
  Tensor group_forward(Context& context, const Boundary& border);
  std::shared_ptr<const MemoryPlan> plan_of_group(const Boundary& border);

  Model& model_;
  RunnerOptions o_;
  std::shared_ptr<Memory> meta_;
  Cut cut_;
  bool all_frozen_ = false;
  std::vector<std::pair<int, Shape>> crossing_;  // step and shape [1, …] of each boundary tensor
  FrozenWeights packed_frozen_, packed_live_;    // of the frozen part, and of the trainable part in inference
  std::vector<std::shared_ptr<Arena>> arenas_;   // one a worker
  std::map<std::pair<Pass, int64_t>, std::shared_ptr<const MemoryPlan>> plans_;
  // The frozen part of so many images by one worker, once its images are on the device; `crossed`: what crosses the cut.
  struct Chain {
    Repeated repeated;
    std::vector<Buffer> crossed;
  };
  std::map<std::pair<int, int64_t>, Chain> chains_;
  mutable std::mutex plans_mutex_;  // guards the two maps
};

}  // namespace ptrain
