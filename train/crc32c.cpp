#include "train/crc32c.hpp"

#include <array>

namespace ptrain {
namespace {

// table[b]: the remainder that the byte b leaves.
constexpr std::array<uint32_t, 256> kTable = [] {
  std::array<uint32_t, 256> table{};
  for (uint32_t b = 0; b < 256; ++b) {
    table[b] = b;
    for (int bit = 0; bit < 8; ++bit) table[b] = table[b] >> 1 ^ (table[b] & 1 ? 0x82F63B78u : 0);
  }
  return table;
}();

}  // namespace

uint32_t crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (char c : bytes) crc = crc >> 8 ^ kTable[(crc ^ uint8_t(c)) & 0xff];
  return ~crc;
}

}  // namespace ptrain
