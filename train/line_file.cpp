#include "train/line_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "kernels/error.hpp"

namespace ptrain {
namespace {

// The number of bytes at the beginning of `text` that stay.
size_t kept_size(std::string_view text, const LineFile::Keep& keep) {
  size_t at = 0;
  for (size_t number = 0;; ++number) {
    const size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return at;
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!keep(line, number)) return at;
    at = end + 1;
  }
}

}  // namespace

LineFile::LineFile(std::filesystem::path path) : path_(std::move(path)) { open(O_TRUNC); }

LineFile::LineFile(std::filesystem::path path, const Keep& keep) : path_(std::move(path)) {
  std::string text;
  if (std::filesystem::exists(path_)) {
    std::ifstream in(path_, std::ios::binary);
    if (!in) fail(ErrorKind::failed, "going on with ", path_.string(), ": it cannot be read: ", std::strerror(errno));
    text.assign(std::istreambuf_iterator<char>(in), {});
  }
  const size_t size = kept_size(text, keep);
  open(0);
  if (size < text.size() && ::ftruncate(file_, off_t(size)) != 0) {
    const int reason = errno;
    ::close(file_);
    fail(ErrorKind::failed, "cutting ", path_.string(), " to its whole lines: ", std::strerror(reason));
  }
}

void LineFile::open(int flags) {
  file_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | flags, 0644);
  if (file_ < 0) fail(ErrorKind::failed, "writing ", path_.string(), ": ", std::strerror(errno));
}

LineFile::~LineFile() { ::close(file_); }

void LineFile::write(std::string_view line) {
  while (!line.empty()) {
    const ssize_t written = ::write(file_, line.data(), line.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(ErrorKind::failed, "writing ", path_.string(), ": ", std::strerror(errno));
    line.remove_prefix(size_t(written));
  }
}

}  // namespace ptrain
