// defines: what a training will need, and the options that are chosen by it: --dry-run, --batch auto, --precision auto
#pragma once

#include "tools/ptrain/training.hpp"

namespace ptrain::cli {

// Puts numbers in the place of --batch auto and --precision auto, before a training begins, so that resolved.toml has what was chosen and a
// replay chooses nothing. Measured on the net of the options with formula weights; a line for each choice.
void decide_automatic(TrainOptions&, const Say&);

// The fastest of the types that the device computes in: each runs the frozen base over some images, and float32 gives way to one that is
// at least 5 % faster. Says what was measured.
std::string fastest_precision(Model&, Workers&, const Say&);

// Memory of a training in bytes, from plans of its passes on the meta device.
struct MemoryForecast {
  int64_t images = 0;   // decoded, in RAM
  int64_t weights = 0;  // with the optimizer's state
  int64_t passes = 0;   // activations, gradients and packed weights, at the stage that needs most
  int64_t total() const { return images + weights + passes; }
};
MemoryForecast forecast_memory(Model&, Workers&, const FitOptions&, int64_t images_bytes);
std::string str(const MemoryForecast&);

// 32, halved until a training with it fits into the memory that is free, a quarter of which is left for images.
int64_t fitting_batch(Model&, Workers&, FitOptions, const Say&);

// Two steps of each stage and the validation of some images, timed; weights are not kept. Says how long stages last at most.
void forecast_time(Model&, Workers&, const FitData&, const FitOptions&, const Say&);

}  // namespace ptrain::cli
