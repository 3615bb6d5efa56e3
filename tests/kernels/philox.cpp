#include "kernels/philox.hpp"

#include "tests/support/support.hpp"

using namespace ptrain;

TEST_CASE("philox gives the known answers of Random123") {
  struct Answer {
    uint64_t key;
    Philox4 counter, want;
  };
  // kat_vectors of Random123: "philox4x32 10 counter key result"
  const Answer answers[] = {
      {0, {{0, 0, 0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
      {~uint64_t{0}, {{~0u, ~0u, ~0u, ~0u}}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
      {0x299f31d0a4093822, {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
  };
  for (const Answer& a : answers) {
    const Philox4 got = philox(a.key, a.counter);
    for (int i = 0; i < 4; ++i) CHECK(got.v[i] == a.want.v[i]);
  }
}

TEST_CASE("unit_float takes the upper 24 bits and stays below one") {
  CHECK(unit_float(0) == 0.f);
  CHECK(unit_float(0xff) == 0.f);  // the lower eight bits do not count
  CHECK(unit_float(0x100) == 0x1p-24f);
  CHECK(unit_float(~0u) == 1 - 0x1p-24f);
}

TEST_CASE("random_unit depends on every part of its address") {
  const float base = random_unit(1, Purpose::dropout, 2, 3, 4, 5);
  CHECK(random_unit(1, Purpose::dropout, 2, 3, 4, 5) == base);
  CHECK(random_unit(2, Purpose::dropout, 2, 3, 4, 5) != base);
  CHECK(random_unit(uint64_t{1} << 32 | 1, Purpose::dropout, 2, 3, 4, 5) != base);
  CHECK(random_unit(1, Purpose::shuffle, 2, 3, 4, 5) != base);
  CHECK(random_unit(1, Purpose::dropout, 1, 3, 4, 5) != base);
  CHECK(random_unit(1, Purpose::dropout, 2, 2, 4, 5) != base);
  CHECK(random_unit(1, Purpose::dropout, 2, 3, 5, 5) != base);
  for (uint32_t i = 0; i < 12; ++i)
    if (i != 5) CHECK(random_unit(1, Purpose::dropout, 2, 3, 4, i) != base);
}
