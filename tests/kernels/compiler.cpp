// What this program needs from its compiler and does not always get.
#include <cstring>

#include "kernels/shapes.hpp"
#include "tests/support/support.hpp"

namespace {

struct Window {
  int64_t stride = 1, pad_h = 0, pad_w = 0, more_h = 0, more_w = 0;
  bool operator==(const Window&) const = default;
};

// Out of line, so that the arguments really go through memory.
__attribute__((noinline)) bool is(Window got, int64_t stride, int64_t pad_h, int64_t pad_w, int64_t more_h, int64_t more_w) {
  const int64_t want[] = {stride, pad_h, pad_w, more_h, more_w};
  return std::memcmp(&got, want, sizeof(got)) == 0;
}

}  // namespace

// GCC 12.2 with AVX-512 writes {1, 1, 1, 0} as {1, 1, 1, 1} unless CMakeLists.txt limits its moves.
TEST_CASE("structs of constants arrive as they were written") {
  CHECK(is({.pad_h = 1, .pad_w = 1}, 1, 1, 1, 0, 0));
  CHECK(is({.stride = 2, .pad_h = 2, .pad_w = 2}, 2, 2, 2, 0, 0));
  CHECK(is({.pad_h = 1}, 1, 1, 0, 0, 0));
  CHECK(is({.stride = 3, .pad_h = 3, .pad_w = 3, .more_h = 3}, 3, 3, 3, 3, 0));
  CHECK(is({}, 1, 0, 0, 0, 0));
}
