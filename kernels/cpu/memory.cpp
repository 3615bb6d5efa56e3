#include "kernels/cpu/memory.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>

#include "kernels/cpu/cpu.hpp"

namespace ptrain::cpu {
namespace {

constexpr int64_t kLine = 64, kHugePage = 2 << 20;
// From this size on the free memory is looked up first: Linux grants nearly any request and kills the program later.
constexpr int64_t kAskFirst = 16 << 20;

constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();

// The number in a file that holds one ("max" and a missing file: unlimited), or behind a key.
int64_t read_number(const std::string& path, const std::string& key = "") {
  std::ifstream in(path);
  int64_t value = kUnlimited;
  if (key.empty()) return in >> value ? value : kUnlimited;
  for (std::string word; in >> word;)
    if (word == key) return in >> value ? value : kUnlimited;
  return kUnlimited;
}

// What one control group still allows. Pages of files that nobody uses count as used there, but are given up when asked for.
MemoryInfo group_memory(const std::string& folder, const char* limit, const char* used, const char* inactive) {
  const int64_t total = read_number(folder + limit), in_use = read_number(folder + used);
  if (total == kUnlimited || in_use == kUnlimited) return {kUnlimited, kUnlimited};
  const int64_t cached = read_number(folder + "/memory.stat", inactive);
  return {total, std::max<int64_t>(0, total - in_use + (cached == kUnlimited ? 0 : cached))};
}

// The least that the control groups of this process allow, each of them and its parents (version 2, then version 1).
MemoryInfo group_limits() {
  MemoryInfo least{kUnlimited, kUnlimited};
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const bool unified = controllers.empty();
    if (!unified && controllers != "memory") continue;
    const std::string root = unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    for (std::string group = line.substr(second + 1);; group.resize(group.rfind('/'))) {
      if (group == "/") group.clear();
      const MemoryInfo here = unified
                                  ? group_memory(root + group, "/memory.max", "/memory.current", "inactive_file")
                                  : group_memory(root + group, "/memory.limit_in_bytes", "/memory.usage_in_bytes", "total_inactive_file");
      least = {std::min(least.total, here.total), std::min(least.free, here.free)};
      if (group.find('/') == std::string::npos) break;
    }
  }
  return least;
}

std::string mebibytes(int64_t bytes) { return concat((bytes + (1 << 19)) >> 20, " MiB"); }

}  // namespace

MemoryInfo host_memory() {
  const int64_t total = read_number("/proc/meminfo", "MemTotal:"), available = read_number("/proc/meminfo", "MemAvailable:");
  const MemoryInfo group = group_limits();
  const auto bytes = [](int64_t kib) { return kib > kUnlimited / 1024 ? kUnlimited : kib * 1024; };
  return {std::min(bytes(total), group.total), std::min(bytes(available), group.free)};
}

void* take_memory(int64_t bytes) {
  const int64_t align = bytes >= kHugePage ? kHugePage : kLine;
  void* data = nullptr;
  const bool fits = bytes >= 0 && (bytes < kAskFirst || bytes <= host_memory().free);
  if (!fits || posix_memalign(&data, size_t(align), size_t(std::max(bytes, kLine))) != 0)
    fail(ErrorKind::device, "out of memory on the cpu: wanted ", mebibytes(bytes), ", ", mebibytes(host_memory().free), " are free");
  // A hint: where huge pages are switched off the memory is as good, only slower.
  if (bytes >= kHugePage) madvise(data, size_t(bytes), MADV_HUGEPAGE);
  return data;
}

void give_memory_back(void* data) noexcept { std::free(data); }

void* CpuBackend::allocate(int64_t bytes) { return take_memory(bytes); }
void CpuBackend::release(void* data, int64_t) noexcept { give_memory_back(data); }
MemoryInfo CpuBackend::memory_info() const { return host_memory(); }

}  // namespace ptrain::cpu
