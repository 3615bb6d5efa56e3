#include "kernels/dtype.hpp"

#include <cstring>
#include <limits>

#include "tests/support/support.hpp"

using namespace ptrain;

namespace {

// The value of a bit pattern by the definition of the format: `fraction` bits behind the point, exponents biased by `bias`.
double value_of(uint16_t bits, int fraction, int bias) {
  const int field = (bits & 0x7fff) >> fraction, ones = (1 << (15 - fraction)) - 1;
  const double sign = bits & 0x8000 ? -1 : 1, tail = std::ldexp(double(bits & ((1 << fraction) - 1)), -fraction);
  if (field == ones) return tail == 0 ? sign * std::numeric_limits<double>::infinity() : std::numeric_limits<double>::quiet_NaN();
  return sign * (field == 0 ? std::ldexp(tail, 1 - bias) : std::ldexp(1 + tail, field - bias));
}

// For rounding, infinity stands where the number behind the largest one would be.
double place_of(uint16_t bits, int fraction, int bias) {
  const double v = value_of(bits, fraction, bias);
  return std::isinf(v) ? std::copysign(std::ldexp(1., (1 << (15 - fraction)) - 1 - bias), v) : v;
}

// No neighbour of `bits` is closer to x, and of two at the same distance the even one was taken.
bool is_nearest(uint16_t bits, double x, int fraction, int bias) {
  const double error = std::fabs(x - place_of(bits, fraction, bias));
  for (const int step : {-1, 1}) {
    if ((bits & 0x7fff) == 0 && step < 0) continue;
    const double rival = std::fabs(x - place_of(uint16_t(bits + step), fraction, bias));  // NaN behind infinity: no rival
    if (rival < error || (rival == error && (bits & 1))) return false;
  }
  return error == error;
}

template <class T>
void check_type(int fraction, int bias) {
  for (uint32_t i = 0; i < 0x10000; ++i) {
    T t;
    t.bits = uint16_t(i);
    const double want = value_of(t.bits, fraction, bias);
    if (std::isnan(want)) {
      REQUIRE(std::isnan(float(t)));
      REQUIRE(std::isnan(float(T(float(t)))));
      continue;
    }
    REQUIRE(double(float(t)) == want);
    REQUIRE(double(t) == want);
    REQUIRE(T(float(t)).bits == t.bits);  // there and back

    // The value itself, the middle to the next one, and the floats right beside that middle: the last three decide the rounding.
    if (std::isinf(want)) continue;
    const float middle = float((want + place_of(uint16_t(i + 1), fraction, bias)) / 2);
    for (const float x : {middle, std::nextafter(middle, 0.f), std::nextafter(middle, middle * 4)}) {
      INFO(x);
      REQUIRE(is_nearest(T(x).bits, double(x), fraction, bias));
      REQUIRE(std::signbit(float(T(x))) == std::signbit(x));
    }
  }
  CHECK(std::isinf(float(T(std::numeric_limits<float>::infinity()))));
  CHECK(T(0.f).bits == 0);
  CHECK(T(-0.f).bits == 0x8000);
  CHECK(T(1.f).bits == (bias << fraction));
  for (const float nan : {std::numeric_limits<float>::quiet_NaN(), std::bit_cast<float>(0x7f800001u), std::bit_cast<float>(0xffffffffu)}) CHECK(std::isnan(float(T(nan))));
}

}  // namespace

TEST_CASE("float16 holds all 65536 patterns and rounds to the nearest even") { check_type<Float16>(10, 15); }
TEST_CASE("bfloat16 holds all 65536 patterns and rounds to the nearest even") { check_type<BFloat16>(7, 127); }

TEST_CASE("float16 underflows and overflows where it should") {
  CHECK(Float16(0x1p-25f).bits == 0);  // a tie between 0 and the smallest number: to the even one
  CHECK(Float16(std::nextafter(0x1p-25f, 1.f)).bits == 1);
  CHECK(Float16(65519.99f).bits == 0x7bff);
  CHECK(Float16(65520.f).bits == 0x7c00);
  CHECK(Float16(3e38f).bits == 0x7c00);
  CHECK(BFloat16(std::numeric_limits<float>::max()).bits == 0x7f80);
}

TEST_CASE("sizes and names of types") {
  const std::tuple<DType, int64_t, const char*, bool> types[] = {{DType::float32, 4, "float32", true}, {DType::float16, 2, "float16", true}, {DType::bfloat16, 2, "bfloat16", true},
                                                                 {DType::float64, 8, "float64", true}, {DType::uint8, 1, "uint8", false},    {DType::int32, 4, "int32", false}};
  for (const auto& [type, size, name, floating] : types) {
    CHECK(size_of(type) == size);
    CHECK(std::string(str(type)) == name);
    CHECK(is_floating(type) == floating);
    CHECK(visit(type, []<class T>(T) { return int64_t(sizeof(T)); }) == size);
  }
  CHECK_THROWS_AS(visit_floating(DType::int32, [](auto) {}), Error);
}

TEST_CASE("a slice of a buffer stays inside it") {
  float data[10] = {};
  const Buffer b{data, DType::float32, 10};
  CHECK(b.bytes() == 40);
  CHECK(b.slice(3, 4).data == data + 3);
  CHECK(b.slice(3, 4).size == 4);
  CHECK(b.slice(10, 0).size == 0);
  CHECK(Buffer{nullptr, DType::float32, 10}.slice(2, 2).data == nullptr);
  for (const auto& [first, count] : {std::pair{-1, 2}, {9, 2}, {11, 0}, {0, 11}, {3, -1}}) CHECK_THROWS_AS(b.slice(first, count), Error);
}
