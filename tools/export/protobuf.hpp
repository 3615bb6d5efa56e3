// defines: Message, the few lines of Protocol Buffers' wire format that an ONNX file needs
#pragma once

#include <bit>
#include <cstdint>
#include <string>
#include <string_view>

namespace ptrain::exports {

// Fields are appended in the order of the calls. Source: protobuf.dev/programming-guides/encoding.
class Message {
 public:
  Message& integer(int field, int64_t v) {
    varint(uint64_t(field) << 3);
    varint(uint64_t(v));
    return *this;
  }
  Message& number(int field, float v) {
    varint(uint64_t(field) << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(v);
    for (int i = 0; i < 4; ++i) bytes_ += char(bits >> (8 * i) & 255);
    return *this;
  }
  Message& text(int field, std::string_view v) {
    length(field, v.size());
    bytes_ += v;
    return *this;
  }
  Message& message(int field, const Message& v) { return text(field, v.bytes_); }
  // The beginning of a field whose `size` bytes are written by the caller.
  Message& length(int field, uint64_t size) {
    varint(uint64_t(field) << 3 | 2);
    varint(size);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void varint(uint64_t v) {
    for (; v >= 128; v >>= 7) bytes_ += char(v | 128);
    bytes_ += char(v);
  }
  std::string bytes_;
};

}  // namespace ptrain::exports
