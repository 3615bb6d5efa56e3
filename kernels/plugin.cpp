#include "kernels/plugin.hpp"

#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

namespace ptrain {
namespace {

namespace fs = std::filesystem;

std::string find_library(const char* name) {
  std::error_code ignored;
  const fs::path here = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const char* told = std::getenv("PTRAIN_PLUGINS");
  for (const fs::path& folder : {fs::path(told ? told : ""), here, here / "../lib"})
    if (const fs::path file = folder / name; !folder.empty() && fs::exists(file, ignored)) return file.string();
  return "";
}

std::shared_ptr<Backend> open_library(const std::string& file, const char* name, int device) {
  if (file.empty()) fail(ErrorKind::device, "opening ", name, ": this build has no lib", name, "; use --device cpu");
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) fail(ErrorKind::device, "opening ", file, ": ", dlerror());
  auto* make = reinterpret_cast<MakeBackend*>(dlsym(library, "ptrain_make_backend"));
  std::shared_ptr<Backend> backend;
  if (!make || !make(PTRAIN_ABI_HASH, device, &backend))
    fail(ErrorKind::device, "opening ", file, ": it was built from other sources than this program; build both again");
  return backend;
}

}  // namespace

GpuCount count_gpus() {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!driver) return {0, "this machine has no NVIDIA driver (libcuda.so.1)"};
  auto* init = reinterpret_cast<int (*)(unsigned)>(dlsym(driver, "cuInit"));
  auto* count = reinterpret_cast<int (*)(int*)>(dlsym(driver, "cuDeviceGetCount"));
  if (!init || !count) return {0, "libcuda.so.1 is not NVIDIA's driver"};
  if (const int e = init(0)) return {0, concat("the NVIDIA driver found no GPU (cuInit: ", e, ")")};
  GpuCount found;
  if (const int e = count(&found.count)) return {0, concat("the NVIDIA driver cannot count its GPUs (cuDeviceGetCount: ", e, ")")};
  if (found.count == 0) found.why_none = "the NVIDIA driver found no GPU";
  return found;
}

std::string find_cuda_plugin() { return find_library("libptrain_cuda.so"); }
std::string find_cuda_sim_plugin() { return find_library("libptrain_cuda_sim.so"); }

std::shared_ptr<Backend> make_cuda_backend(int device) {
  const GpuCount gpus = count_gpus();
  if (gpus.count == 0) fail(ErrorKind::device, "opening cuda:", device, ": ", gpus.why_none, "; use --device cpu");
  if (device >= gpus.count) fail(ErrorKind::device, "opening cuda:", device, ": this machine has ", gpus.count, " GPUs, counted from 0");
  return open_library(find_cuda_plugin(), "ptrain_cuda", device);
}
std::shared_ptr<Backend> make_cuda_sim_backend(int schedule) { return open_library(find_cuda_sim_plugin(), "ptrain_cuda_sim", schedule); }

}  // namespace ptrain
