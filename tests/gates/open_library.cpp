// Opens a library of a backend as ptrain does: other sources are refused, and without a driver its factory says so by an Error that can be
// caught here. On a machine with a GPU it opens the first one.
#include <dlfcn.h>

#include <cstdio>
#include <cstring>

#include "kernels/plugin.hpp"

using namespace ptrain;

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  void* library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
  if (!library) return std::printf("error: %s\n", dlerror()), 1;
  auto* make = reinterpret_cast<MakeBackend*>(dlsym(library, "ptrain_make_backend"));
  if (!make) return std::printf("error: %s\n", dlerror()), 1;
  std::shared_ptr<Backend> backend;
  if (make("other sources", 0, &backend) || backend) return std::printf("error: another ABI hash was accepted\n"), 1;
  const int gpus = count_gpus().count;
  try {
    if (!make(PTRAIN_ABI_HASH, 0, &backend)) return std::printf("error: its own ABI hash was refused\n"), 1;
    std::printf("opened %s\n", backend->name().c_str());
    return gpus > 0 ? 0 : 1;
  } catch (const Error& e) {
    std::printf("%s\n", e.what());
    return gpus == 0 && e.kind() == ErrorKind::device && std::strstr(e.what(), "cudaErrorInsufficientDriver") ? 0 : 1;
  }
}
