// defines: InterruptGuard and Interrupted: Ctrl-C and SIGTERM end a training between two steps
#pragma once

#include <csignal>
#include <stdexcept>
#include <string>

namespace ptrain {

// Thrown when a training stopped because of a signal, after its state was saved. The program ends with 128 + signal().
class Interrupted : public std::runtime_error {
 public:
  Interrupted(int signal, const std::string& message) : std::runtime_error(message), signal_(signal) {}
  int signal() const { return signal_; }

 private:
  int signal_;
};

// While it lives, the first SIGINT or SIGTERM is only noted; a second one ends the program at once, as without it. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static int signal_received();  // 0: none

 private:
  struct sigaction old_int_, old_term_;
};

}  // namespace ptrain
