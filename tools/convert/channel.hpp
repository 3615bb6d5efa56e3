// defines: frames on a pipe, from the child that reads a stranger's file to its parent
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ptrain::convert {

// The sequence: plan, then for each of its tensors one tensor frame (a line that names it) and its values, then done. Instead of any of
// them: refusal (the text for the user). The values are rows frames (float32) until the tensor is full, or one place frame, when the file
// holds them as they are wanted: then the parent reads the bytes itself, and half a gigabyte need not go through the pipe.
enum class FrameType : uint32_t { plan = 1, tensor, rows, done, refusal, place };

// Where float32 values lie in the file that the child reads, little-endian, row after row.
struct Place {
  uint64_t offset;
  std::string name;  // of the dataset, for messages

  std::string to_bytes() const;
  static Place from_bytes(const std::vector<char>& bytes);  // Error{weights} when it is none
};

constexpr size_t kMaxTextFrame = 64 << 20,
                 kRowsBytes = 4 << 20;  // rows frames hold at least one row, and no more than this unless one row is larger

// No NaN, no infinity. Without branches, so that it costs next to nothing beside the copy.
bool all_finite(std::span<const float> values);

class FrameWriter {
 public:
  explicit FrameWriter(int fd) : fd_(fd) {}
  void send(FrameType type, const void* data, size_t size);  // throws when the reader is gone
  void send(FrameType type, const std::string& text) { send(type, text.data(), text.size()); }

 private:
  int fd_;
};

// Trusts nothing that it reads.
class FrameReader {
 public:
  using Clock = std::chrono::steady_clock;
  FrameReader(int fd, Clock::time_point deadline) : fd_(fd), deadline_(deadline) {}
  void set_deadline(Clock::time_point t) { deadline_ = t; }

  // False when the other end was closed before a frame began or within one, or when the deadline has passed.
  bool next();
  FrameType type() const { return type_; }
  const std::vector<char>& data() const { return data_; }
  std::string text() const { return {data_.begin(), data_.end()}; }
  bool late() const { return late_; }
  void allow_rows(size_t bytes) { max_rows_ = bytes; }

 private:
  bool read_all(void* to, size_t size);
  int fd_;
  Clock::time_point deadline_;
  FrameType type_{};
  std::vector<char> data_;
  size_t max_rows_ = 0;
  bool late_ = false;
};

}  // namespace ptrain::convert
