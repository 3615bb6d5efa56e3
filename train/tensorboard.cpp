#include "train/tensorboard.hpp"

#include <unistd.h>

#include <bit>
#include <chrono>
#include <cstring>

#include "kernels/error.hpp"
#include "train/crc32c.hpp"

namespace ptrain {
namespace {

static_assert(std::endian::native == std::endian::little, "protocol buffers and TFRecord are little-endian");

template <class T>
std::string bytes_of(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

// Protocol buffers: a field is its number and wire type, then the value.
enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += char(value | 0x80);
  return bytes + char(value);
}

std::string tag(uint32_t number, Wire wire) { return varint(number << 3 | wire); }
std::string field(uint32_t number, std::string_view bytes) { return tag(number, kBytes) + varint(bytes.size()) + std::string(bytes); }
std::string field(uint32_t number, double value) { return tag(number, kFixed64) + bytes_of(value); }
std::string field(uint32_t number, float value) { return tag(number, kFixed32) + bytes_of(value); }
std::string field(uint32_t number, int64_t value) { return tag(number, kVarint) + varint(uint64_t(value)); }

// Event: 1 wall_time, 2 step, 3 file_version, 5 summary, 7 session_log. Summary: 1 value. Value: 1 tag, 2 simple_value.
// SessionLog: 1 status.
// A step of 0 is the default and left out, as TensorFlow does.
std::string event(double wall_time, int64_t step, const std::string& what) {
  return field(1, wall_time) + (step == 0 ? "" : field(2, step)) + what;
}

uint32_t masked_crc(std::string_view bytes) {  // so that the CRC of data that holds CRCs stays useful
  const uint32_t crc = crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

double seconds_since_1970() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

// events.out.tfevents.<seconds>.ptrain.<process>[.<count>]: TensorBoard looks for "tfevents" and reads files in the order of their names.
std::filesystem::path new_file(const std::filesystem::path& folder, double now) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) fail(ErrorKind::failed, "making the folder ", folder.string(), ": ", error.message());
  const std::string name = concat("events.out.tfevents.", int64_t(now), ".ptrain.", ::getpid());
  std::filesystem::path path = folder / name;
  for (int count = 2; std::filesystem::exists(path); ++count) path = folder / concat(name, ".", count);
  return path;
}

}  // namespace

TensorboardWriter::TensorboardWriter(const std::filesystem::path& folder, std::optional<int64_t> resume_at, Clock clock)
    : clock_(clock ? std::move(clock) : seconds_since_1970),
      file_(new_file(folder, clock_())) {
  record(event(clock_(), 0, field(3, "brain.Event:2")));
  if (resume_at) record(event(clock_(), *resume_at, field(7, field(1, int64_t(1)))));  // SessionLog.START
}

void TensorboardWriter::scalars(int64_t step, const Logs& values) {
  std::string summary;
  for (const auto& [name, value] : values) summary += field(1, field(1, name) + field(2, float(value)));
  record(event(clock_(), step, field(5, summary)));
}

void TensorboardWriter::record(std::string_view data) {
  const std::string length = bytes_of(uint64_t(data.size()));
  std::string frame = length + bytes_of(masked_crc(length));
  frame += data;
  frame += bytes_of(masked_crc(data));
  file_.write(frame);
}

}  // namespace ptrain
