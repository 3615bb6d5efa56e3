// defines: the checks that every public function of Backend makes before it calls its do_ part
#pragma once

#include "kernels/backend.hpp"

namespace ptrain {

// Checks the buffers of one operation; messages name the operation and the argument.
class Check {
 public:
  explicit Check(const char* op) : op_(op) {}

  const Check& size(const char* what, Buffer b, int64_t size) const {
    REQUIRE_THAT(b.size == size, op_, ": ", what, " has ", b.size, " elements, ", size, " are needed");
    return *this;
  }
  const Check& is(const char* what, Buffer b, DType t, int64_t n) const {
    REQUIRE_THAT(b.dtype == t, op_, ": ", what, " is ", str(b.dtype), ", ", str(t), " is needed");
    return size(what, b, n);
  }
  const Check& optional(const char* what, Buffer b, DType t, int64_t n) const { return b ? is(what, b, t, n) : *this; }
  const Check& floating(const char* what, Buffer b, int64_t n) const {
    REQUIRE_THAT(is_floating(b.dtype), op_, ": ", what, " is ", str(b.dtype), ", a floating type is needed");
    return size(what, b, n);
  }
  // A filter gradient: the type of the activations, or float32.
  const Check& filter(const char* what, Buffer b, DType t, int64_t n) const {
    return is(what, b, b.dtype == DType::float32 ? DType::float32 : t, n);
  }
  const Check& that(bool condition, const char* what) const {
    REQUIRE_THAT(condition, op_, ": ", what);
    return *this;
  }

 private:
  const char* op_;
};

// The type of biases, statistics, losses and state beside activations of type `t`.
constexpr DType wide(DType t) { return t == DType::float64 ? DType::float64 : DType::float32; }

}  // namespace ptrain
