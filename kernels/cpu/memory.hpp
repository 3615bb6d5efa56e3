// defines: Block, aligned host memory; host_memory(), how much there is
#pragma once

#include <utility>

#include "kernels/backend.hpp"

namespace ptrain::cpu {

// Aligned to 64 bytes, from 2 MiB on to 2 MiB and on huge pages where the system grants them: a whole-net chain is 5 % faster there,
// because its activations no longer miss in the TLB. Error{device} when there is too little memory.
void* take_memory(int64_t bytes);
void give_memory_back(void* data) noexcept;

MemoryInfo host_memory();  // of the machine, or of the control group when that allows less

// Owns memory of take_memory(). Move-only.
class Block {
 public:
  Block() = default;
  explicit Block(int64_t bytes) : data_(take_memory(bytes)), bytes_(bytes) {}
  Block(Block&& o) noexcept : data_(std::exchange(o.data_, nullptr)), bytes_(std::exchange(o.bytes_, 0)) {}
  Block& operator=(Block&& o) noexcept {
    std::swap(data_, o.data_);
    std::swap(bytes_, o.bytes_);
    return *this;
  }
  ~Block() { give_memory_back(data_); }
  void* data() const { return data_; }
  int64_t bytes() const { return bytes_; }

 private:
  void* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace ptrain::cpu
