// defines: Profile, how long the operations of each layer take
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "kernels/exec.hpp"

namespace ptrain {

// Filled by the operations of the Execs that point to it (Exec::profile); for one host thread.
class Profile {
 public:
  struct Key {
    std::string layer, op;
    auto operator<=>(const Key&) const = default;
  };
  std::map<Key, double> seconds;  // summed over the calls
};

// Times one operation, from its construction to its end. Does nothing without a profile.
class OpClock {
 public:
  OpClock(Exec& e, const char* op) : exec_(e), op_(op) {
    if (!exec_.profile) return;
    exec_.synchronize();
    start_ = Clock::now();
  }
  ~OpClock() {
    if (!exec_.profile) return;
    exec_.synchronize();
    exec_.profile->seconds[{exec_.label, op_}] += std::chrono::duration<double>(Clock::now() - start_).count();
  }
  OpClock(const OpClock&) = delete;
  OpClock& operator=(const OpClock&) = delete;

 private:
  using Clock = std::chrono::steady_clock;
  Exec& exec_;
  const char* op_;
  Clock::time_point start_;
};

}  // namespace ptrain
