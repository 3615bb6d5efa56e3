// defines: what this machine can do at best: arithmetic and bandwidth, measured
#pragma once

#include <cstdint>

#include "kernels/dtype.hpp"

namespace ptrain::cli {

struct Machine {
  double peak_gflops = 0;      // multiply-adds counted as two, in the precision asked for, all threads
  double cache_gb_per_s = 0;   // reading what fits the second-level cache, all threads
  double memory_gb_per_s = 0;  // reading what fits no cache, all threads
};

// Takes about a second. The best of several short runs, so that other programs disturb it little.
Machine measure_machine(int threads, DType compute);

}  // namespace ptrain::cli
