#include "tools/convert/digest.hpp"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include "kernels/error.hpp"

namespace ptrain::convert {
namespace {

class Hash {
 public:
  explicit Hash(const EVP_MD* kind) : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    REQUIRE_THAT(context_ && EVP_DigestInit_ex(context_.get(), kind, nullptr) == 1, "OpenSSL has no such hash");
  }
  void add(const char* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string hex() {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(context_.get(), bytes, &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) text += "0123456789abcdef"[bytes[i] >> 4], text += "0123456789abcdef"[bytes[i] & 15];
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> context_;
};

}  // namespace

void Progress::set(uint64_t final_bytes) {
  const std::lock_guard lock(mutex_);
  final_bytes_ = final_bytes;
  changed_.notify_all();
}

void Progress::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

uint64_t Progress::wait_beyond(uint64_t at, std::stop_token stop) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, stop, [&] { return final_bytes_ > at || finished_; });
  return stop.stop_requested() || final_bytes_ < at ? 0 : final_bytes_ - at;
}

FileHasher::FileHasher(int fd, Kind kind, Progress* behind)
    : thread_([this, fd, kind, behind](const std::stop_token& stop) {
        Hash hash(kind == Kind::md5 ? EVP_md5() : EVP_sha256());
        std::vector<char> buffer(256 << 10);  // stays in the processor's cache
        for (off_t at = 0; !stop.stop_requested();) {
          const uint64_t there = behind ? behind->wait_beyond(uint64_t(at), stop) : buffer.size();
          const ssize_t got = pread(fd, buffer.data(), std::min<uint64_t>(buffer.size(), there), at);
          if (got < 0 && errno == EINTR) continue;
          if (got < 0) error_ = std::strerror(errno);
          if (got <= 0) break;
          hash.add(buffer.data(), size_t(got));
          at += got;
        }
        digest_ = hash.hex();
      }) {}

std::string FileHasher::wait() {
  thread_.join();
  if (!error_.empty()) fail(ErrorKind::weights, "hashing: ", error_);
  return digest_;
}

}  // namespace ptrain::convert
