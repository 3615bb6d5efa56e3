// defines: how the host finds GPUs and opens the backends that are libraries of their own
#pragma once

#include <memory>
#include <string>

#include "kernels/backend.hpp"

namespace ptrain {

// GPUs as NVIDIA's driver counts them. It is asked without anything of CUDA being linked or installed.
struct GpuCount {
  int count = 0;
  std::string why_none;  // one line, when count is 0
};
GpuCount count_gpus();

// The library that serves GPUs (libptrain_cuda.so) or the emulator (libptrain_cuda_sim.so): beside the program, in ../lib, or in the folder that
// PTRAIN_PLUGINS names. "" where this build has none.
std::string find_cuda_plugin();
std::string find_cuda_sim_plugin();

// A backend of such a library. The library is never closed again. Error{device} in one line when there is no driver, no GPU of that number, no
// library, or one that was built from other sources.
std::shared_ptr<Backend> make_cuda_backend(int device);
// `schedule`: in which order the emulator runs threads: 0 forward, 1 reverse, 2 random.
std::shared_ptr<Backend> make_cuda_sim_backend(int schedule = 0);

// What the library exports. Fills `backend` and returns true, or returns false when `abi` is not the hash that it was built with.
using MakeBackend = bool(const char* abi, int device, std::shared_ptr<Backend>* backend);

}  // namespace ptrain
