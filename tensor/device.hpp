// defines: Device, and how one is named on the command line
#pragma once

#include <string>

namespace ptrain {

enum class DeviceKind { cpu, reference, meta, cuda, cuda_sim };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;  // of a GPU
  bool operator==(const Device&) const = default;
};

std::string str(const Device&);  // cpu, reference, meta, cuda:0, cuda-sim

// "cpu", "reference", "cuda", "cuda:1", "cuda-sim"; anything else is Error{usage} that lists them.
Device parse_device(const std::string& text);

}  // namespace ptrain
