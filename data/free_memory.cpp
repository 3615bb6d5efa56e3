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

// Of the group and all groups above it: the limit less what is in use, not counting file pages, which the kernel gives back.
int64_t left_in_control_group() {
  int64_t least = kUnknown;
  std::ifstream in("/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with("0::")) continue;  // version 2
    const fs::path top = "/sys/fs/cgroup";
    for (fs::path group = fs::path(line.substr(3)).relative_path();; group = group.parent_path()) {
      const int64_t limit = number_in(top / group / "memory.max"), used = number_in(top / group / "memory.current");
      if (limit != kUnknown && used != kUnknown) {
        int64_t pages = 0;
        std::ifstream stat(top / group / "memory.stat");
        for (std::string name; stat >> name;) {
          int64_t value = 0;
          stat >> value;
          if (name == "inactive_file") pages = value;
        }
        least = std::min(least, std::max<int64_t>(limit - used + pages, 0));
      }
      if (group.empty()) break;
    }
  }
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
  return {std::min(available_ram(), left_in_control_group()), error ? 0 : int64_t(std::min<uintmax_t>(space.available, uintmax_t(kUnknown)))};
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
