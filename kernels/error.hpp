// defines: Error and its kinds (each kind is an exit code), OutOfMemory, fail(), REQUIRE_THAT
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

#define PTRAIN_EXPORT __attribute__((visibility("default")))

namespace ptrain {

// The value is the exit code of the program.
enum class ErrorKind {
  failed = 1,    // an internal check did not hold, or something without a kind of its own
  usage = 2,     // the command line or the configuration
  data = 3,      // images, folders, splits
  weights = 4,   // weight files
  device = 5,    // a device that is missing, or memory that ran out
  diverged = 6,  // the training produced non-finite numbers
  leak = 7,      // test images in the training data, or a locked test part
};

// The only exception this program throws, and its kind below. `main` turns it into a message and an exit code.
class PTRAIN_EXPORT Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

// The memory of a device has run out: what was wanted for what, and what is free. Who knows the batch can say which one would fit.
class PTRAIN_EXPORT OutOfMemory : public Error {
 public:
  explicit OutOfMemory(const std::string& facts) : Error(ErrorKind::device, facts + "\n  try a smaller --batch"), facts_(facts) {}
  const std::string& facts() const { return facts_; }  // without the advice

 private:
  std::string facts_;
};

// All arguments written one after the other.
template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... message) {
  throw Error(kind, concat(message...));
}

}  // namespace ptrain

// Always on, in every build: what must hold inside the program. The message is built only when it does not.
#define REQUIRE_THAT(condition, ...)                                            \
  do {                                                                          \
    if (!(condition)) ::ptrain::fail(::ptrain::ErrorKind::failed, __VA_ARGS__); \
  } while (false)
