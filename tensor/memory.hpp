// defines: Memory, where the tensors of one device live: a Pool, or a planned Arena
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "kernels/backend.hpp"
#include "tensor/device.hpp"

namespace ptrain {

// A storage keeps its Memory alive, and that keeps the backend alive.
class Memory {
 public:
  Memory(std::shared_ptr<Backend> backend, Device device) : backend_(std::move(backend)), device_(device) {}
  virtual ~Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  Backend& backend() const { return *backend_; }
  const std::shared_ptr<Backend>& shared_backend() const { return backend_; }
  Device device() const { return device_; }
  virtual void* take(int64_t bytes) = 0;
  virtual void give_back(void* data, int64_t bytes) noexcept = 0;

 private:
  std::shared_ptr<Backend> backend_;
  Device device_;
};

// Keeps what is given back and hands it out again to a request of the same rounded size. Any thread may call it.
class Pool : public Memory {
 public:
  using Memory::Memory;
  ~Pool() override;
  void* take(int64_t bytes) override;
  void give_back(void* data, int64_t bytes) noexcept override;
  int64_t taken_from_backend() const;  // how many times the backend itself had to allocate
  int64_t peak_bytes() const;          // the most that was in use at one time

 private:
  mutable std::mutex mutex_;
  std::multimap<int64_t, void*> free_;
  int64_t allocations_ = 0, in_use_ = 0, peak_ = 0;
};

// The place of each block that one pass asks for, in the order in which it asks.
struct MemoryPlan {
  struct Block {
    int64_t bytes = 0, offset = 0;
  };
  std::vector<Block> blocks;
  int64_t total = 0;
};

// Watches one pass (usually on the meta device), then places its blocks so that those alive together do not overlap.
class PlanRecorder : public Memory {
 public:
  using Memory::Memory;
  ~PlanRecorder() override;
  void* take(int64_t bytes) override;
  void give_back(void* data, int64_t bytes) noexcept override;
  MemoryPlan plan() const;

 private:
  struct Life {
    int64_t bytes, born, died;
  };
  std::vector<Life> lives_;
  std::map<void*, size_t> alive_;
  int64_t now_ = 0;
};

// One allocation that serves passes by their plans, one after the other. A pass begins with begin(), asks for the sizes of its plan
// in the same order, and lets nothing that it made outlive the next begin(). One thread at a time.
class Arena : public Memory {
 public:
  using Memory::Memory;
  ~Arena() override;
  void begin(std::shared_ptr<const MemoryPlan> plan);  // allocates only when this plan is larger than all before
  void* take(int64_t bytes) override;
  void give_back(void* data, int64_t bytes) noexcept override;
  const void* base() const { return base_; }  // where the allocation lies now
  void rewind(size_t requests);               // what came after the first requests of this pass comes anew

 private:
  std::shared_ptr<const MemoryPlan> plan_;
  char* base_ = nullptr;
  int64_t capacity_ = 0;
  size_t next_ = 0;
  int64_t alive_ = 0;
};

// Opens a device: a new backend and a pool over it. cuda without a GPU is Error{device}.
std::shared_ptr<Memory> open_device(const Device&);

}  // namespace ptrain
