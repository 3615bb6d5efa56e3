// defines: DType, Float16, BFloat16, Buffer, visit()
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

#include "kernels/error.hpp"

namespace ptrain {

enum class DType : uint8_t { float32, float16, bfloat16, float64, uint8, int32 };

constexpr int64_t size_of(DType t) {
  switch (t) {
    case DType::float32: return 4;
    case DType::float16: return 2;
    case DType::bfloat16: return 2;
    case DType::float64: return 8;
    case DType::uint8: return 1;
    case DType::int32: return 4;
  }
  return 0;
}

constexpr const char* str(DType t) {
  switch (t) {
    case DType::float32: return "float32";
    case DType::float16: return "float16";
    case DType::bfloat16: return "bfloat16";
    case DType::float64: return "float64";
    case DType::uint8: return "uint8";
    case DType::int32: return "int32";
  }
  return "?";
}

constexpr bool is_floating(DType t) { return t != DType::uint8 && t != DType::int32; }

// The upper half of a float32, rounded to nearest even. A NaN stays a NaN.
struct BFloat16 {
  uint16_t bits = 0;
  BFloat16() = default;
  explicit BFloat16(float f) {
    const uint32_t u = std::bit_cast<uint32_t>(f);
    bits = uint16_t(f != f ? (u >> 16) | 0x40 : (u + 0x7fff + (u >> 16 & 1)) >> 16);
  }
  explicit operator float() const { return std::bit_cast<float>(uint32_t(bits) << 16); }
  explicit operator double() const { return float(*this); }
};

// IEEE half precision, rounded to nearest even.
struct Float16 {
  uint16_t bits = 0;
  Float16() = default;
  explicit Float16(float f) {
    const uint32_t u = std::bit_cast<uint32_t>(f), sign = u >> 16 & 0x8000, x = u & 0x7fffffff;
    uint32_t half;
    if (x > 0x7f800000) half = 0x7e00;                                                                     // NaN
    else if (x >= 0x477ff000) half = 0x7c00;                                                               // rounds to infinity
    else if (x < 0x38800000) half = std::bit_cast<uint32_t>(std::bit_cast<float>(x) + 0.5f) - 0x3f000000;  // subnormal: the add rounds
    else half = (x + 0xfff + (x >> 13 & 1) - 0x38000000) >> 13;
    bits = uint16_t(sign | half);
  }
  explicit operator float() const {
    const uint32_t sign = uint32_t(bits & 0x8000) << 16, x = bits & 0x7fff;
    if (x < 0x400) return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(float(x) * 0x1p-24f));
    return std::bit_cast<float>(sign | ((x << 13) + (x >= 0x7c00 ? 0x70000000u : 0x38000000u)));
  }
  explicit operator double() const { return float(*this); }
};

// Memory on one device: `size` elements of one type. It owns nothing.
struct Buffer {
  void* data = nullptr;
  DType dtype = DType::float32;
  int64_t size = 0;

  explicit operator bool() const { return size > 0; }
  int64_t bytes() const { return size * size_of(dtype); }
  // Elements [first, first + count).
  Buffer slice(int64_t first, int64_t count) const {
    REQUIRE_THAT(first >= 0 && count >= 0 && first + count <= size, "slice [", first, ", ", first + count, ") of a buffer of ", size);
    return {data ? static_cast<char*>(data) + first * size_of(dtype) : nullptr, dtype, count};
  }
  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
};

// Calls f with a value of the type that `t` names: visit(t, [&]<class T>(T) { … }).
template <class F>
decltype(auto) visit(DType t, F&& f) {
  switch (t) {
    case DType::float32: return f(float{});
    case DType::float16: return f(Float16{});
    case DType::bfloat16: return f(BFloat16{});
    case DType::float64: return f(double{});
    case DType::uint8: return f(uint8_t{});
    case DType::int32: return f(int32_t{});
  }
  fail(ErrorKind::failed, "no such dtype: ", int(t));
}

// The same for the four floating types; anything else is an error.
template <class F>
decltype(auto) visit_floating(DType t, F&& f) {
  switch (t) {
    case DType::float32: return f(float{});
    case DType::float16: return f(Float16{});
    case DType::bfloat16: return f(BFloat16{});
    case DType::float64: return f(double{});
    default: fail(ErrorKind::failed, "a floating type is needed here, not ", str(t));
  }
}

}  // namespace ptrain
