// defines: FileHasher
#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <thread>

namespace ptrain::convert {

// How much of a file is written for good. A hasher of a file that is still being written follows behind the writer.
class Progress {
 public:
  void set(uint64_t final_bytes);
  void finish();                                            // the file is complete
  uint64_t wait_beyond(uint64_t at, std::stop_token stop);  // final bytes from `at` on; 0 at the end of the file, or when asked to stop

 private:
  std::mutex mutex_;
  std::condition_variable_any changed_;
  uint64_t final_bytes_ = 0;
  bool finished_ = false;
};

// Hashes an open file on a thread of its own, beside whatever else is done with it. SHA-256 and MD5 are OpenSSL's: they use the processor's
// instructions (1.8 GB/s instead of 0.3), and a half-gigabyte file is hashed twice. MD5 only because Keras publishes MD5 sums.
class FileHasher {
 public:
  enum class Kind { sha256, md5 };
  FileHasher(int fd, Kind kind, Progress* behind = nullptr);
  std::string wait();  // hexadecimal; Error{weights} when the file cannot be read

 private:
  std::string error_, digest_;
  std::jthread thread_;  // stops early when this object goes
};

}  // namespace ptrain::convert
