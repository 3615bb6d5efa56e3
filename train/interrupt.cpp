#include "train/interrupt.hpp"

namespace ptrain {
namespace {

volatile std::sig_atomic_t received = 0;  // a signal handler can reach nothing but a global

void note(int signal) {
  received = signal;
  std::signal(signal, SIG_DFL);  // the next one is not caught
}

}  // namespace

InterruptGuard::InterruptGuard() {
  received = 0;
  struct sigaction action = {};
  action.sa_handler = note;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &old_int_);
  sigaction(SIGTERM, &action, &old_term_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &old_int_, nullptr);
  sigaction(SIGTERM, &old_term_, nullptr);
}

int InterruptGuard::signal_received() { return received; }

}  // namespace ptrain
