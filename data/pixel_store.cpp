#include "data/pixel_store.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

#include "data/free_memory.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace {

constexpr int64_t kAlign = 64;
constexpr int64_t kPiece = 16 << 20;  // pages that are not touched yet cost no memory

}  // namespace

PixelStore::PixelStore(int64_t ram_budget, int64_t disk_budget, std::filesystem::path folder)
    : ram_budget_(ram_budget),
      disk_budget_(disk_budget),
      folder_(std::move(folder)) {}

PixelStore::~PixelStore() {
  for (const Piece& piece : ram_) std::free(piece.begin);
  for (const Piece& piece : disk_) munmap(piece.begin, size_t(piece.size));
  if (file_ >= 0) close(file_);
}

uint8_t* PixelStore::take(int64_t bytes) {
  const int64_t size = (bytes + kAlign - 1) / kAlign * kAlign;
  const std::lock_guard lock(mutex_);
  const bool ram = size <= ram_budget_ - ram_used_;
  if (!ram && size > disk_budget_ - disk_used_) return nullptr;
  std::vector<Piece>& pieces = ram ? ram_ : disk_;
  if (pieces.empty() || pieces.back().size - pieces.back().used < size) ram ? add_ram(size) : add_disk(size);
  Piece& piece = pieces.back();
  uint8_t* block = piece.begin + piece.used;
  piece.used += size;
  (ram ? ram_used_ : disk_used_) += size;
  return block;
}

void PixelStore::add_ram(int64_t bytes) {
  const int64_t size = std::max(bytes, std::min(kPiece, (ram_budget_ - ram_used_) / kAlign * kAlign));
  void* begin = std::aligned_alloc(size_t(kAlign), size_t(size));
  if (!begin)
    fail(ErrorKind::device, "caching images in memory: ", str_bytes(size), " could not be had, ", str_bytes(ram_used_),
         " are in use; choose the file cache or no cache");
  ram_.push_back({static_cast<uint8_t*>(begin), size, 0});
}

void PixelStore::add_disk(int64_t bytes) {
  const auto refuse = [&](const char* step, int error) {
    fail(ErrorKind::device, "caching images in a file in ", folder_.string(), ": ", step, ": ", std::strerror(error), " after ",
         str_bytes(file_size_), "; free some space, choose another folder for the cache, or no cache");
  };
  if (file_ < 0) {
    std::string name = (folder_ / "ptrain-cache-XXXXXX").string();
    file_ = mkostemp(name.data(), O_CLOEXEC);
    if (file_ < 0) refuse("creating it", errno);
    unlink(name.c_str());
  }
  const int64_t page = sysconf(_SC_PAGESIZE);
  const int64_t wanted = std::max(bytes, std::min(kPiece, disk_budget_ - disk_used_));
  const int64_t size = (wanted + page - 1) / page * page;
  const int error = posix_fallocate(file_, file_size_, size);
  if (error != 0) refuse("making room", error);
  void* begin = mmap(nullptr, size_t(size), PROT_READ | PROT_WRITE, MAP_SHARED, file_, file_size_);
  if (begin == MAP_FAILED) refuse("mapping it into memory", errno);
  file_size_ += size;
  disk_.push_back({static_cast<uint8_t*>(begin), size, 0});
}

}  // namespace ptrain
