// Memory, copies and execution: the device is the host.
#include <sys/sysinfo.h>

#include <cstring>
#include <new>

#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

constexpr std::align_val_t kAlign{64};

class ReferenceExec final : public Exec {
 public:
  explicit ReferenceExec(int threads) : Exec(threads) {}
  ~ReferenceExec() override { operator delete(scratch_, kAlign); }
  void* scratch(int64_t bytes) override {
    if (bytes > size_) {
      operator delete(scratch_, kAlign);
      scratch_ = nullptr, size_ = 0;
      scratch_ = operator new(size_t(bytes), kAlign);
      size_ = bytes;
    }
    return scratch_;
  }
  void synchronize() override {}  // every operation returns when it has finished

 private:
  void* scratch_ = nullptr;
  int64_t size_ = 0;
};

}  // namespace

std::unique_ptr<Exec> ReferenceBackend::make_exec(int threads) {
  REQUIRE_THAT(threads > 0, "reference: ", threads, " threads");
  return std::make_unique<ReferenceExec>(threads);
}

void* ReferenceBackend::allocate(int64_t bytes) {
  const MemoryInfo info = memory_info();
  void* data = bytes <= info.total ? operator new(size_t(bytes), kAlign, std::nothrow) : nullptr;
  if (!data) fail(ErrorKind::device, "reference: out of memory: wanted ", bytes >> 20, " MiB, ", info.free >> 20, " of ", info.total >> 20, " MiB free");
  return data;
}

void ReferenceBackend::release(void* data, int64_t) noexcept { operator delete(data, kAlign); }

MemoryInfo ReferenceBackend::memory_info() const {
  struct sysinfo s {};
  sysinfo(&s);
  return {int64_t(s.totalram) * s.mem_unit, int64_t(s.freeram + s.bufferram) * s.mem_unit};
}

void ReferenceBackend::do_upload(Exec&, const void* host, Buffer to) { std::memcpy(to.data, host, size_t(to.bytes())); }
void ReferenceBackend::do_download(Exec&, Buffer from, void* host) { std::memcpy(host, from.data, size_t(from.bytes())); }
void ReferenceBackend::do_copy(Exec&, Buffer from, Buffer to) { std::memmove(to.data, from.data, size_t(to.bytes())); }

}  // namespace ptrain::reference

namespace ptrain {
std::shared_ptr<Backend> make_reference_backend() { return std::make_shared<reference::ReferenceBackend>(); }
}  // namespace ptrain
