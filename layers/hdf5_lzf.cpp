// An LZF stream is a row of tokens. Byte below 32: so many + 1 bytes follow as they are. Else its upper three bits are a length (7: the
// next byte is added) + 2, its lower five and the next byte a distance − 1 back into the output, from where that many bytes are repeated.
#include "layers/hdf5_lzf.hpp"

#include <cstring>

namespace ptrain::hdf5 {
namespace {

// The library's hook for a filter. Chunks were checked before (check_chunks), so the size cannot surprise here; it is bounded all the same.
size_t filter(unsigned flags, size_t, const unsigned*, size_t bytes, size_t* buffer_size, void** buffer) {
  if (!(flags & H5Z_FLAG_REVERSE)) return 0;  // reading only
  constexpr int64_t kMost = int64_t(1) << 32;
  const char* packed = static_cast<const char*>(*buffer);
  const int64_t size = unpack_lzf(packed, bytes, nullptr, kMost);
  if (size <= 0 || size > kMost) return 0;
  void* unpacked = H5allocate_memory(size_t(size), false);
  if (!unpacked) return 0;
  unpack_lzf(packed, bytes, static_cast<char*>(unpacked), size);
  H5free_memory(*buffer);
  *buffer = unpacked;
  *buffer_size = size_t(size);
  return size_t(size);
}

}  // namespace

void register_lzf() {
  H5Z_class2_t lzf{};
  lzf.version = H5Z_CLASS_T_VERS;
  lzf.id = kLzf;
  lzf.decoder_present = 1;
  lzf.name = "lzf";
  lzf.filter = filter;
  H5Zregister(&lzf);
}

int64_t unpack_lzf(const char* packed, size_t size, char* to, int64_t limit) {
  int64_t total = 0;
  size_t at = 0;
  const auto byte = [&](size_t i) { return unsigned(uint8_t(packed[i])); };
  while (at < size) {
    const unsigned token = byte(at++);
    if (token < 32) {
      const size_t count = token + 1;
      if (count > size - at) return -1;
      if (total + int64_t(count) > limit) return limit + 1;
      if (to) std::memcpy(to + total, packed + at, count);
      at += count, total += int64_t(count);
      continue;
    }
    unsigned length = token >> 5;
    if (length == 7) {
      if (at == size) return -1;
      length += byte(at++);
    }
    if (at == size) return -1;
    const int64_t distance = int64_t((token & 31) << 8 | byte(at++)) + 1;
    length += 2;
    if (distance > total) return -1;
    if (total + int64_t(length) > limit) return limit + 1;
    for (unsigned i = 0; to && i < length; ++i) to[total + i] = to[total + i - distance];  // it may overlap itself
    total += length;
  }
  return total;
}

}  // namespace ptrain::hdf5
