// defines: how much memory and disk a cache may take
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace ptrain {

struct FreeMemory {
  int64_t ram = 0, disk = 0;  // bytes
};

// RAM: what the kernel calls available, and no more than the limits of this process' control group (containers) leave. Disk: what a user
// may still write in `folder`, 0 when it does not exist.
FreeMemory measure_free_memory(const std::filesystem::path& folder);

std::string str_bytes(int64_t bytes);  // "3.2 GiB"

}  // namespace ptrain
