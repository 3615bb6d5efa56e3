#include "tensor/memory.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "kernels/plugin.hpp"

namespace ptrain {
namespace {

constexpr int64_t kAlign = 64;  // a cache line, and the alignment that every backend promises
int64_t rounded(int64_t bytes) { return std::max<int64_t>(1, (bytes + kAlign - 1) / kAlign) * kAlign; }

}  // namespace

Pool::~Pool() {
  for (const auto& [bytes, data] : free_) backend().release(data, bytes);
}

void* Pool::take(int64_t bytes) {
  bytes = rounded(bytes);
  const std::lock_guard lock(mutex_);
  void* data = nullptr;
  if (const auto it = free_.find(bytes); it != free_.end()) {
    data = it->second;
    free_.erase(it);
  } else {
    data = backend().allocate(bytes);
    ++allocations_;
  }
  in_use_ += bytes;
  peak_ = std::max(peak_, in_use_);
  return data;
}

void Pool::give_back(void* data, int64_t bytes) noexcept {
  bytes = rounded(bytes);
  const std::lock_guard lock(mutex_);
  in_use_ -= bytes;
  free_.emplace(bytes, data);
}

int64_t Pool::taken_from_backend() const {
  const std::lock_guard lock(mutex_);
  return allocations_;
}

int64_t Pool::peak_bytes() const {
  const std::lock_guard lock(mutex_);
  return peak_;
}

PlanRecorder::~PlanRecorder() {
  for (const auto& [data, life] : alive_) backend().release(data, lives_[life].bytes);
}

void* PlanRecorder::take(int64_t bytes) {
  bytes = rounded(bytes);
  void* data = backend().allocate(bytes);
  alive_[data] = lives_.size();
  lives_.push_back({bytes, now_++, std::numeric_limits<int64_t>::max()});
  return data;
}

void PlanRecorder::give_back(void* data, int64_t) noexcept {
  const auto it = alive_.find(data);
  if (it == alive_.end()) return;
  lives_[it->second].died = now_++;
  backend().release(data, lives_[it->second].bytes);
  alive_.erase(it);
}

// Largest block first, each at the lowest offset where it meets no block that lives at the same time.
MemoryPlan PlanRecorder::plan() const {
  MemoryPlan plan;
  plan.blocks.resize(lives_.size());
  std::vector<size_t> order(lives_.size()), placed;
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return lives_[a].bytes > lives_[b].bytes; });
  for (const size_t i : order) {
    const Life& life = lives_[i];
    std::vector<MemoryPlan::Block> in_the_way;
    for (const size_t j : placed)
      if (lives_[j].born < life.died && life.born < lives_[j].died) in_the_way.push_back(plan.blocks[j]);
    std::sort(in_the_way.begin(), in_the_way.end(), [](const auto& a, const auto& b) { return a.offset < b.offset; });
    int64_t offset = 0;
    for (const MemoryPlan::Block& b : in_the_way) {
      if (offset + life.bytes <= b.offset) break;
      offset = std::max(offset, b.offset + b.bytes);
    }
    plan.blocks[i] = {life.bytes, offset};
    plan.total = std::max(plan.total, offset + life.bytes);
    placed.push_back(i);
  }
  return plan;
}

Arena::~Arena() {
  if (base_) backend().release(base_, capacity_);
}

void Arena::begin(std::shared_ptr<const MemoryPlan> plan) {
  REQUIRE_THAT(alive_ == 0, "arena: ", alive_, " tensors of the last pass are still alive");
  if (plan->total > capacity_) {
    if (base_) backend().release(base_, std::exchange(capacity_, 0));
    base_ = nullptr;
    try {
      base_ = static_cast<char*>(backend().allocate(plan->total));
    } catch (const OutOfMemory& e) {
      throw OutOfMemory("for the planned memory of a pass: " + e.facts());
    }
    capacity_ = plan->total;
  }
  plan_ = std::move(plan);
  next_ = 0;
}

void* Arena::take(int64_t bytes) {
  bytes = rounded(bytes);
  REQUIRE_THAT(plan_ && next_ < plan_->blocks.size() && plan_->blocks[next_].bytes == bytes, "arena: request ", next_, " is for ", bytes,
               " bytes, which is not what the plan has");
  ++alive_;
  return base_ + plan_->blocks[next_++].offset;
}

void Arena::rewind(size_t requests) {
  REQUIRE_THAT(alive_ == int64_t(requests) && requests <= next_, "arena: ", alive_, " tensors are alive, ", requests, " may be");
  next_ = requests;
}

void Arena::give_back(void*, int64_t) noexcept { --alive_; }

std::shared_ptr<Memory> open_device(const Device& device) {
  switch (device.kind) {
    case DeviceKind::cpu: return std::make_shared<Pool>(make_cpu_backend(), device);
    case DeviceKind::reference: return std::make_shared<Pool>(make_reference_backend(), device);
    case DeviceKind::meta: return std::make_shared<Pool>(make_meta_backend(), device);
    case DeviceKind::cuda: return std::make_shared<Pool>(make_cuda_backend(device.index), device);
    case DeviceKind::cuda_sim: return std::make_shared<Pool>(make_cuda_sim_backend(), device);
  }
  fail(ErrorKind::failed, "no such device");
}

}  // namespace ptrain
