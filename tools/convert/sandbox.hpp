// defines: Sandbox, a child process that may compute, read two descriptors and write one, and little else
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>

namespace ptrain::convert {

struct SandboxLimits {
  uint64_t memory_bytes = 0;     // above what the program has mapped already
  uint64_t written_bytes = 0;    // of one file; the pipe does not count
  unsigned cpu_seconds = 0;      // after which the child is killed
  unsigned cpu_seconds_max = 0;  // up to which the child may raise that (allow_cpu), once it knows how much there is to read
};

// Why: libhdf5 has known faults in its parser, and weight files come from strangers. A crash, a loop or a hunger for memory then ends the
// child and not the program, and whoever takes the child over finds a process without the right to open a file or a socket. What the child
// says is checked again by the parent.
//   rlimits: memory, processor time, written bytes, number of descriptors, no core dump. Always.
//   seccomp: every system call but those for memory, and for reading and writing what is open already, fails with EPERM. Where the kernel
//            has it (any Linux since 3.5); its absence is reported, not fatal, since the limits and the checks remain.
class Sandbox {
 public:
  // Forks. `body` runs in the child with the descriptors `keep` and the writing end of a pipe open. When it returns the child ends.
  Sandbox(const SandboxLimits& limits, std::initializer_list<int> keep, const std::function<void(int pipe)>& body);
  ~Sandbox();  // kills
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  int pipe() const { return pipe_; }  // reading end
  // Waits for the end of the child, or kills it first. "" when it ended well, else why not.
  std::string finish(bool kill_it);

 private:
  pid_t child_ = -1;
  int pipe_ = -1;
};

// Called by the child: from here on `seconds` more of processor time, within the limits.
void allow_cpu(unsigned seconds);
bool has_seccomp();  // in this process, for the report

// Sanitizers need address space without bound, system calls of their own, and patience.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

}  // namespace ptrain::convert
