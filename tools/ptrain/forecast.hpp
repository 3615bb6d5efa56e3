// defines: what a training will need, and the options that are chosen by it: --dry-run, --batch auto, --precision auto
#pragma once

#include "tools/ptrain/training.hpp"

namespace ptrain::cli {

// Puts numbers in the place of --batch auto and --precision auto, before a training begins, so that resolved.toml has what was chosen and a
// replay chooses nothing. Measured on the net of the options with formula weights; a line for each choice.
void decide_automatic(TrainOptions&, const Say&);

// A line about the memory that a training takes: the images of the cache, the weights, and what the largest stage needs beside them.
std::string describe_memory(Model&, Workers&, const FitOptions&, const ImageCache&);

// Two steps of each stage and the validation of some images, timed; weights are not kept. Says how long stages last at most.
void forecast_time(Model&, Workers&, const FitData&, const FitOptions&, const Say&);

}  // namespace ptrain::cli
