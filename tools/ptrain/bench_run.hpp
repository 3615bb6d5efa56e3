// defines: the measurement of one net in one mode, and the table of its layers
#pragma once

#include <string>
#include <vector>

#include "tools/ptrain/bench_machine.hpp"
#include "train/fit.hpp"

namespace ptrain::cli {

// infer: class scores of a batch; frozen: training of the head on the frozen base, with augmentation; fine-tune: the top 30 % trains too;
// full: everything trains, on batch statistics, without augmentation. The work of Keras' predict and train_on_batch, on random pictures.
struct BenchCase {
  std::string net, mode, precision = "fp32", bn = "frozen", conv = "auto";
  int64_t batch = 32;
  int threads = 1;
  double seconds = 10;  // steps are timed for as long: at least 3, at most 15
};

struct BenchResult {
  double images_per_s_best = 0, images_per_s_median = 0;
  double gflops = 0;            // of the convolutions and dense layers of the base, counted directly, at the median
  double first_step_s = 0;      // from an idle, loaded model to the end of the first step
  double cpu_per_wall = 0;      // processor time over elapsed time of the timed steps
  double images_per_cpu_s = 0;  // images in a second of one processor: what remains comparable on a machine that others use as well
};
BenchResult run_bench(const BenchCase& what);

// One operation of one layer, on one thread: of the inference of one image, or of a training step.
struct LayerTime {
  std::string layer, op;
  double seconds = 0;
  int64_t bytes = 0, flops = 0;  // read and written once each; multiply-adds counted as two
};
std::vector<LayerTime> time_layers(const BenchCase& what);  // slowest first; the threads of `what` are not used

}  // namespace ptrain::cli
