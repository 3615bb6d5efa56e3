#include "tools/convert/channel.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

#include "kernels/error.hpp"

namespace ptrain::convert {
namespace {

struct Header {
  uint32_t type, reserved;
  uint64_t size;
};

void write_all(int fd, const void* data, size_t size) {
  const auto* at = static_cast<const char*>(data);
  while (size > 0) {
    const ssize_t put = write(fd, at, size);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail(ErrorKind::failed, "writing to the converter: ", std::strerror(errno));
    at += put, size -= size_t(put);
  }
}

}  // namespace

bool all_finite(std::span<const float> values) {
  constexpr uint32_t kExponent = 0x7f800000;
  uint32_t bad = 0;
  for (const float v : values) bad |= uint32_t((std::bit_cast<uint32_t>(v) & kExponent) == kExponent);
  return bad == 0;
}

std::string Place::to_bytes() const { return std::string(reinterpret_cast<const char*>(&offset), sizeof offset) + name; }

Place Place::from_bytes(const std::vector<char>& bytes) {
  Place p{};
  if (bytes.size() < sizeof p.offset) fail(ErrorKind::weights, "the reader sent no place of a tensor");
  std::memcpy(&p.offset, bytes.data(), sizeof p.offset);
  p.name.assign(bytes.begin() + sizeof p.offset, bytes.end());
  return p;
}

void FrameWriter::send(FrameType type, const void* data, size_t size) {
  const Header header{uint32_t(type), 0, size};
  write_all(fd_, &header, sizeof header);
  write_all(fd_, data, size);
}

bool FrameReader::read_all(void* to, size_t size) {
  auto* at = static_cast<char*>(to);
  while (size > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    pollfd ready{fd_, POLLIN, 0};
    const int n = left <= 0 ? 0 : poll(&ready, 1, int(std::min<long long>(left, 1 << 30)));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      late_ = true;
      return false;
    }
    const ssize_t got = read(fd_, at, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got, size -= size_t(got);
  }
  return true;
}

bool FrameReader::next() {
  Header header;
  if (!read_all(&header, sizeof header)) return false;
  type_ = FrameType(header.type);
  const size_t limit = type_ == FrameType::rows ? max_rows_ : kMaxTextFrame;
  if (header.type < uint32_t(FrameType::plan) || header.type > uint32_t(FrameType::place) || header.size > limit)
    fail(ErrorKind::weights, "the reader sent something that makes no sense");
  data_.resize(header.size);
  return read_all(data_.data(), data_.size());
}

}  // namespace ptrain::convert
