// defines: Exec, where and how an operation runs; Profile, how long its labels took
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace ptrain {

// How long the work under each label took, in the order of the labels. Whoever profiles hangs one on an Exec and ends with mark("").
class Profile {
 public:
  struct Entry {
    std::string label;
    double seconds = 0;
  };
  void mark(const std::string& label) {
    const auto now = std::chrono::steady_clock::now();
    if (!entries_.empty()) entries_.back().seconds = std::chrono::duration<double>(now - since_).count();
    entries_.push_back({label, 0});
    since_ = std::chrono::steady_clock::now();
  }
  const std::vector<Entry>& entries() const { return entries_; }

 private:
  std::vector<Entry> entries_;
  std::chrono::steady_clock::time_point since_;
};

// The layer at work, for error messages and profiles; the Scope assigns its name.
class Label {
 public:
  Label& operator=(const std::string& name) {
    name_ = name;
    if (profile) profile->mark(name);
    return *this;
  }
  operator const std::string&() const { return name_; }
  const std::string& name() const { return name_; }

  Profile* profile = nullptr;  // is told of every label when it is there

 private:
  std::string name_;
};

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

  Label label;

 private:
  int threads_;
};

}  // namespace ptrain
