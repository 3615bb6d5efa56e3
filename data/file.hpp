// defines: InputFile, read_bytes() with a limit, AtomicFile (a file that is written as a whole or not at all)
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ptrain {

// A regular file that is read from its beginning (a link to one will do; a pipe, a device or a folder will not). `doing` begins the
// messages: "decoding". Error{data} when it is not there or cannot be read.
class InputFile {
 public:
  InputFile(std::filesystem::path path, std::string doing);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  int64_t size() const { return size_; }
  void read(std::span<uint8_t> to);  // the next bytes; Error{data} when there are fewer

 private:
  std::filesystem::path path_;
  std::string doing_;
  int file_ = -1;
  int64_t size_ = 0;
};

// All bytes of such a file; Error{data} when there are more than `limit`.
std::vector<uint8_t> read_bytes(const std::filesystem::path& path, std::string_view doing, int64_t limit);

// Writes to a temporary name beside `path`; commit() makes it `path` after an fsync of the file, then syncs the folder. Without
// commit() nothing is left behind and a file that was there before is untouched. Error{failed} names the path and the reason
// (full disk, no permission).
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::span<const uint8_t> bytes);
  void write(std::string_view text) { write({reinterpret_cast<const uint8_t*>(text.data()), text.size()}); }
  void commit();

 private:
  [[noreturn]] void fail_with(const char* step, int error_number) const;
  std::filesystem::path path_, temporary_;
  int file_ = -1;
};

}  // namespace ptrain
