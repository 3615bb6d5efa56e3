#include "data/file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

#include "kernels/error.hpp"

namespace ptrain {
namespace fs = std::filesystem;

InputFile::InputFile(fs::path path, std::string doing) : path_(std::move(path)), doing_(std::move(doing)) {
  // O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
  file_ = open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (file_ < 0 || fstat(file_, &status) != 0) {
    const char* advice = errno == ENOENT ? "check the path" : errno == EACCES ? "check its permissions" : "check the disk and the path";
    fail(ErrorKind::data, doing_, " ", path_.string(), ": ", std::strerror(errno), "; ", advice);
  }
  size_ = status.st_size;
  if (S_ISREG(status.st_mode)) return;
  close(file_);
  fail(ErrorKind::data, doing_, " ", path_.string(), ": this is a folder, a pipe or a device, and a file is wanted; remove it");
}

InputFile::~InputFile() { close(file_); }

void InputFile::read(std::span<uint8_t> to) {
  for (size_t have = 0; have < to.size();) {
    const ssize_t got = ::read(file_, to.data() + have, to.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ErrorKind::data, doing_, " ", path_.string(), ": ", std::strerror(errno), "; check the disk");
    if (got == 0) fail(ErrorKind::data, doing_, " ", path_.string(), ": the file became shorter while it was read; wait until it is complete");
    have += size_t(got);
  }
}

std::vector<uint8_t> read_bytes(const fs::path& path, std::string_view doing, int64_t limit) {
  InputFile file(path, std::string(doing));
  if (file.size() > limit)
    fail(ErrorKind::data, doing, " ", path.string(), ": the file has ", file.size(), " bytes, the limit is ", limit, "; make it smaller or remove it");
  std::vector<uint8_t> bytes(size_t(file.size()));
  file.read(bytes);
  return bytes;
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  static std::atomic<int> count{0};  // two threads may save side by side
  temporary_ = concat(path_.string(), ".", getpid(), ".", ++count, ".tmp");
  file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file_ < 0) fail_with("creating a file beside it", errno);
}

AtomicFile::~AtomicFile() {
  if (file_ >= 0) close(file_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void AtomicFile::write(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(file_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_with("writing", errno);
    bytes = bytes.subspan(size_t(put));
  }
}

void AtomicFile::commit() {
  if (fsync(file_) != 0) fail_with("writing it to the disk", errno);
  const int closed = close(std::exchange(file_, -1));
  if (closed != 0) fail_with("closing", errno);
  if (rename(temporary_.c_str(), path_.c_str()) != 0) fail_with("renaming the temporary file", errno);
  temporary_.clear();
  const fs::path folder = path_.has_parent_path() ? path_.parent_path() : fs::path(".");
  const int directory = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return;
  fsync(directory);  // some file systems cannot; the file itself is safe by then
  close(directory);
}

void AtomicFile::fail_with(const char* step, int error_number) const {
  const char* advice = error_number == ENOSPC || error_number == EDQUOT ? "free some space or choose another folder"
                                                                        : "choose a folder that exists and can be written to";
  fail(ErrorKind::failed, "saving ", path_.string(), ": ", step, ": ", std::strerror(error_number), "; nothing was changed; ", advice);
}

}  // namespace ptrain
