#include "tests/kernels/backends.hpp"

using namespace ptrain;
using namespace ptrain::test;

TEST_CASE("allocations are aligned and too large ones say how much was wanted") {
  on_each_backend([](const Target& target) {
    Backend& b = *target.backend;
    for (const int64_t bytes : {1, 64, 65, 1 << 20}) {
      void* data = b.allocate(bytes);
      CHECK(reinterpret_cast<uintptr_t>(data) % 64 == 0);
      b.release(data, bytes);
    }
    const MemoryInfo info = b.memory_info();
    CHECK(info.total > 0);
    CHECK((info.free > 0 && info.free <= info.total));
    try {
      b.allocate(int64_t{1} << 50);
      FAIL_CHECK("a petabyte was given");
    } catch (const Error& e) {
      CHECK(e.kind() == ErrorKind::device);
      CHECK(std::string(e.what()).find("1073741824 MiB") != std::string::npos);
    }
  });
}

TEST_CASE("scratch memory is aligned and grows") {
  on_each_backend([](const Target& target) {
    const auto exec = target.backend->make_exec(1);
    for (const int64_t bytes : {1, 1000, 100, 1 << 20}) {
      void* data = exec->scratch(bytes);
      REQUIRE(data);
      CHECK(reinterpret_cast<uintptr_t>(data) % 64 == 0);
      if (target.backend->is_host()) std::memset(data, 1, size_t(bytes));
    }
    CHECK(exec->threads() == 1);
    CHECK(target.backend->make_exec(3)->threads() == 3);
    CHECK_THROWS_AS(target.backend->make_exec(0), Error);
  });
}
