// defines: PixelStore, room for the pixels of a cache, in memory or in a mapped file
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <vector>

namespace ptrain {

// Hands out blocks from large pieces: first of memory, then of a file that is mapped into memory. The file has no name as soon as it is open,
// so that nothing stays behind however the program ends; its pieces are reserved on the disk before they are used, so
// that a full disk is an Error{device} here and not a fatal signal at some later write. Any number of threads may call take().
class PixelStore {
 public:
  PixelStore(int64_t ram_budget, int64_t disk_budget, std::filesystem::path folder);
  ~PixelStore();
  PixelStore(const PixelStore&) = delete;
  PixelStore& operator=(const PixelStore&) = delete;

  // `bytes` bytes, aligned to 64, that live as long as the store; nullptr when both budgets are used up.
  uint8_t* take(int64_t bytes);
  int64_t ram_bytes() const { return ram_used_; }
  int64_t disk_bytes() const { return disk_used_; }

 private:
  struct Piece {
    uint8_t* begin = nullptr;
    int64_t size = 0, used = 0;
  };
  void add_ram(int64_t bytes);
  void add_disk(int64_t bytes);

  const int64_t ram_budget_, disk_budget_;
  const std::filesystem::path folder_;
  std::mutex mutex_;
  std::vector<Piece> ram_, disk_;
  int64_t ram_used_ = 0, disk_used_ = 0, file_size_ = 0;
  int file_ = -1;
};

}  // namespace ptrain
