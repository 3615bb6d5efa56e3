#include "data/free_memory.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>
#include <sstream>

namespace ptrain {
namespace fs = std::filesystem;
namespace {

constexpr int64_t kUnknown = std::numeric_limits<int64_t>::max();

int64_t number_in(const fs::path& path) {
  std::ifstream in(path);
  int64_t value = 0;
  return in >> value ? value : kUnknown;  // "max" is no number
}

// Where the kernel tells of a control group, in version 2 and version 1 of them.
struct Dialect {
  std::string line;  // what precedes the group in /proc/self/cgroup
  fs::path top;
  std::string limit, used, file_pages;
};

// Of the group and all groups above it: the limit less what is in use, not counting file pages, which the kernel gives back.
int64_t left_in(const Dialect& d, fs::path group) {
  int64_t least = kUnknown;
  for (;; group = group.parent_path()) {
    const int64_t limit = number_in(d.top / group / d.limit), used = number_in(d.top / group / d.used);
    if (limit != kUnknown && used != kUnknown) {
      int64_t pages = 0, value = 0;
      std::ifstream stat(d.top / group / "memory.stat");
      for (std::string name; stat >> name >> value;)
        if (name == d.file_pages) pages = value;
      least = std::min(least, std::max<int64_t>(limit - used + pages, 0));
    }
    if (group.empty()) return least;
  }
}

int64_t left_in_control_group() {
  const Dialect dialects[] = {
      {"0::", "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"},
      {":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"}};
  int64_t least = kUnknown;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);)
    for (const Dialect& d : dialects)
      if (const size_t at = line.find(d.line); at != std::string::npos)
        least = std::min(least, left_in(d, fs::path(line.substr(at + d.line.size())).relative_path()));
  return least;
}

int64_t available_ram() {
  std::ifstream in("/proc/meminfo");
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kib = 0;
    if (words >> name >> kib && name == "MemAvailable:") return kib * 1024;
  }
  return 0;
}

}  // namespace

FreeMemory measure_free_memory(const fs::path& folder) {
  std::error_code error;
  const fs::space_info space = fs::space(folder, error);
  return {std::min(available_ram(), left_in_control_group()),
          error ? 0 : int64_t(std::min<uintmax_t>(space.available, uintmax_t(kUnknown)))};
}

std::string str_bytes(int64_t bytes) {
  const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = double(bytes);
  size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(units); ++unit) value /= 1024;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
  return text;
}

}  // namespace ptrain
