// defines: expect_error(), for functions that must refuse
#pragma once

#include <string>
#include <vector>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

// f must throw an Error of that kind whose message contains every one of `parts`. Returns the message.
template <class F>
std::string expect_error(ErrorKind kind, const std::vector<std::string>& parts, const F& f) {
  try {
    f();
  } catch (const Error& e) {
    const std::string message = e.what();
    CAPTURE(message);
    CHECK(int(e.kind()) == int(kind));
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(message.find(part) != std::string::npos);
    }
    return message;
  }
  FAIL_CHECK("no error was thrown");
  return "";
}

}  // namespace ptrain::test
