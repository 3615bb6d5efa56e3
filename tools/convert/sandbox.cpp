#include "tools/convert/sandbox.hpp"

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <utility>
#include <vector>

#include "kernels/error.hpp"

namespace ptrain::convert {
namespace {

void limit(int resource, rlim_t soft, rlim_t hard) {
  const rlimit r{soft, hard};
  setrlimit(resource, &r);
}

uint64_t mapped_bytes() {
  unsigned long long pages = 0;
  std::FILE* f = std::fopen("/proc/self/statm", "r");
  if (f && std::fscanf(f, "%llu", &pages) != 1) pages = 0;
  if (f) std::fclose(f);
  return pages * uint64_t(sysconf(_SC_PAGESIZE));
}

#if defined(__x86_64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t kArchitecture = 0;
#endif

// What reading an open file, computing, and writing to an open pipe need. Everything else fails with EPERM.
constexpr uint32_t kAllowed[] = {
    SYS_read,         SYS_pread64,        SYS_readv,         SYS_write,        SYS_pwrite64,    SYS_writev,
    SYS_lseek,        SYS_fstat,          SYS_newfstatat,    SYS_ftruncate,    SYS_close,       SYS_dup,
    SYS_fcntl,        SYS_mmap,           SYS_munmap,        SYS_mremap,       SYS_mprotect,    SYS_madvise,
    SYS_brk,          SYS_futex,          SYS_clock_gettime, SYS_gettimeofday, SYS_getrandom,   SYS_getpid,
    SYS_gettid,       SYS_tgkill,         SYS_getrusage,     SYS_prlimit64,    SYS_setrlimit,   SYS_getrlimit,
    SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigaction,  SYS_sigaltstack,  SYS_sched_yield, SYS_restart_syscall,
    SYS_exit,         SYS_exit_group,
};

bool install_filter() {
  if (kArchitecture == 0 || kSanitized) return false;
  std::vector<sock_filter> code;
  const auto load = [&](size_t offset) { code.push_back(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, uint32_t(offset))); };
  const auto answer = [&](uint32_t what) { code.push_back(BPF_STMT(BPF_RET | BPF_K, what)); };
  load(offsetof(seccomp_data, arch));
  code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kArchitecture, 1, 0));
  answer(SECCOMP_RET_KILL_PROCESS);
  load(offsetof(seccomp_data, nr));
  for (const uint32_t call : kAllowed) {
    code.push_back(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1));
    answer(SECCOMP_RET_ALLOW);
  }
  answer(SECCOMP_RET_ERRNO | EPERM);
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

void close_others(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  int next = STDERR_FILENO + 1;
  for (const int fd : keep) {
    if (fd > next) close_range(unsigned(next), unsigned(fd - 1), 0);
    next = std::max(next, fd + 1);
  }
  close_range(unsigned(next), ~0u, 0);
}

void enter(const SandboxLimits& l, std::vector<int> keep) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const int nothing = open("/dev/null", O_RDWR);
  if (nothing >= 0) dup2(nothing, STDIN_FILENO), dup2(nothing, STDOUT_FILENO);
  close_others(std::move(keep));
  limit(RLIMIT_CORE, 0, 0);
  limit(RLIMIT_NOFILE, 32, 32);
  limit(RLIMIT_FSIZE, l.written_bytes, l.written_bytes);
  limit(RLIMIT_CPU, l.cpu_seconds, l.cpu_seconds_max);
  const uint64_t memory = mapped_bytes() + l.memory_bytes;
  if (!kSanitized) limit(RLIMIT_AS, memory, memory);
  install_filter();
}

}  // namespace

Sandbox::Sandbox(const SandboxLimits& limits, std::initializer_list<int> keep, const std::function<void(int)>& body) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail(ErrorKind::failed, "making a pipe: ", std::strerror(errno));
  fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
  std::fflush(nullptr);
  child_ = fork();
  if (child_ < 0) {
    const int error = errno;
    close(ends[0]), close(ends[1]);
    fail(ErrorKind::device, "starting a process to read the file in: ", std::strerror(error));
  }
  if (child_ == 0) {
    close(ends[0]);
    std::vector<int> open_ones(keep);
    open_ones.push_back(ends[1]);
    enter(limits, std::move(open_ones));
    try {
      body(ends[1]);
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  close(ends[1]);
  pipe_ = ends[0];
}

Sandbox::~Sandbox() { finish(true); }

std::string Sandbox::finish(bool kill_it) {
  if (pipe_ >= 0) close(std::exchange(pipe_, -1));
  if (child_ < 0) return "";
  int status = 0;
  pid_t ended = 0;
  for (int tenths = 0; !kill_it && ended == 0 && tenths < 20; ++tenths) {  // whoever closed the pipe has no more to do
    ended = waitpid(child_, &status, WNOHANG);
    if (ended == 0) usleep(tenths == 0 ? 1'000 : 100'000);
  }
  if (ended == 0) {
    kill_it = true;
    kill(child_, SIGKILL);
    while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {}
  }
  child_ = -1;
  if (WIFEXITED(status)) return WEXITSTATUS(status) == 0 ? "" : concat("the process that read it ended with code ", WEXITSTATUS(status));
  const int signal = WTERMSIG(status);
  if (signal == SIGXCPU || (signal == SIGKILL && !kill_it)) return "reading it took too much processor time";
  if (signal == SIGXFSZ) return "it unpacks to more than it claims";
  return concat("the library that reads it crashed (", sigabbrev_np(signal) ? concat("SIG", sigabbrev_np(signal)) : std::to_string(signal),
                "): the file is damaged");
}

void allow_cpu(unsigned seconds) {
  rusage used{};
  rlimit r{};
  getrusage(RUSAGE_SELF, &used);
  if (getrlimit(RLIMIT_CPU, &r) != 0) return;
  r.rlim_cur = std::min<rlim_t>(rlim_t(used.ru_utime.tv_sec + used.ru_stime.tv_sec) + seconds + 1, r.rlim_max);
  setrlimit(RLIMIT_CPU, &r);
}

bool has_seccomp() { return kArchitecture != 0 && !kSanitized && prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0; }

}  // namespace ptrain::convert
