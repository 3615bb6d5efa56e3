// defines: the parts of `ptrain selftest`: what is checked on a device, and what is measured
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {

// One comparison. `error` and `tolerance` are in units of the quantity that is compared.
struct SelftestCheck {
  std::string group, name, type;
  bool passed = false;
  double error = 0, tolerance = 0;
  std::string note;  // where it went wrong, or what was compared
};

struct SelftestSpeed {
  std::string name, type;
  double microseconds = 0, gigabytes_per_s = 0, gigaflops = 0;
  double share = 0;  // of the device's peak, of what any operation reached in this run, in bytes or in multiply-adds, whichever is nearer
};

struct Selftest {
  std::shared_ptr<Memory> memory;
  bool slow = false;  // reference and cuda-sim: small shapes only
  std::function<void(const SelftestCheck&)> report;
};

// One operation with its arguments, to be run on any device. Every argument is filled; results are compared where `compared` says so.
struct OpCase {
  struct Arg {
    DType type = DType::float32;
    int64_t size = 0;
    double low = -1, high = 1;
    bool whole = false;     // integers in [low, high]
    bool compared = false;  // a result
    double value(uint64_t key, int64_t i) const;
  };
  std::string name;
  std::vector<Arg> args;
  std::function<void(Backend&, Exec&, const std::vector<Buffer>&)> run;
  int64_t macs = 0;
  int64_t moved = 0;    // bytes, where this is less than all of the arguments
  int64_t terms = 1;    // numbers in the longest sum
  double size = 1;      // of one term
  bool packed = false;  // weights are rounded once more after the scale is folded in
};

// Every operation of the contract, at a size for checking (with awkward edges) or for timing.
std::vector<OpCase> op_cases(DType type, bool large, int64_t batch);

void selftest_ops(const Selftest&, DType type);             // against the reference
void selftest_nets(const Selftest&, DType type, bool all);  // features of the five nets against Keras' (SKIPPED without the golden files)
void selftest_training(const Selftest&, DType type);        // ten steps against float32 on the CPU; overflow injected into the loss scale
std::vector<SelftestSpeed> selftest_speed(const Selftest&, DType type);

}  // namespace ptrain::cli
