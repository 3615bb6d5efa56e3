// defines: Exec, where and how an operation runs
#pragma once

#include <cstdint>
#include <string>

namespace ptrain {

class Profile;

// On a CPU: how many threads an operation may use. On a GPU: the stream it is put on. One host thread uses an Exec at a time;
// several Execs of one backend may run side by side. Backends derive their own (primitive caches, library handles).
class Exec {
 public:
  explicit Exec(int threads) : threads_(threads) {}
  virtual ~Exec() = default;
  Exec(const Exec&) = delete;
  Exec& operator=(const Exec&) = delete;

  int threads() const { return threads_; }
  // Working memory of one operation: at least `bytes`, aligned to 64, overwritten by the next operation. Grows, never shrinks.
  virtual void* scratch(int64_t bytes) = 0;
  virtual void synchronize() = 0;  // returns when everything given to this Exec has finished

  std::string label;           // the layer at work, for error messages and profiles; set by the Scope and the Tape
  Profile* profile = nullptr;  // where operations note how long they took

 private:
  int threads_;
};

}  // namespace ptrain
