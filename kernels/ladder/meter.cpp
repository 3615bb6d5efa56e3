#include "kernels/ladder/meter.hpp"

#include <algorithm>

#include "kernels/simt/stream.hpp"

namespace ptrain::cuda::ladder {
namespace {

constexpr uint64_t kSector = 32, kWord = 4, kBanks = 32;
Meter* running = nullptr;

}  // namespace

Meter::Meter() {
  running = this;
  simt::observer = this;
}

Meter::~Meter() {
  simt::observer = nullptr;
  running = nullptr;
}

Meter::Place Meter::place_of(const void* p, size_t bytes) {
  if (!simt::running_thread.kernel || simt::on_private_stack(p)) return Place::elsewhere;
  if (simt::static_shared_range().contains(p) || simt::dynamic_shared_range().contains(p)) return Place::shared;
  return simt::on_device(p, bytes) ? Place::global : Place::elsewhere;
}

Meter::Place Meter::access(const void* p, size_t bytes, bool, const void* caller) {
  const Place place = place_of(p, bytes);
  if (place == Place::elsewhere) return place;
  const int thread = simt::running_thread.thread;
  if (turns_.size() <= size_t(thread)) turns_.resize(size_t(thread) + 1);
  const int turn = turns_[size_t(thread)][caller]++;
  block_[{caller, thread / 32, turn, place == Place::shared}].push_back({reinterpret_cast<uint64_t>(p), uint32_t(bytes)});
  return place;
}

void Meter::grid_begins(const simt::Grid& grid) {
  ++figures.launches;
  const auto count = [](const dim3& d) { return int64_t(d.x) * d.y * d.z; };
  figures.of_launch.push_back({count(grid.blocks) * count(grid.threads), figures.lanes});
  touched_.clear();
}

void Meter::grid_ends() {
  figures.touched += int64_t(touched_.size() * kSector);
  figures.of_launch.back().lanes = figures.lanes - figures.of_launch.back().lanes;
}

void Meter::block_ends() {
  for (const auto& [key, lanes] : block_) key.shared ? count_shared(lanes) : count_global(lanes);
  const auto range = simt::static_shared_range();
  figures.shared_bytes = std::max(figures.shared_bytes, int64_t(range.end - range.begin) +
                                                            int64_t(simt::dynamic_shared_range().end - simt::dynamic_shared_range().begin));
  block_.clear();
  turns_.clear();
}

void Meter::count_global(const std::vector<Lane>& lanes) {
  std::unordered_set<uint64_t> sectors, words;
  for (const Lane& l : lanes) {
    for (uint64_t s = l.address / kSector; s <= (l.address + l.bytes - 1) / kSector; ++s) sectors.insert(s);
    for (uint64_t b = l.address; b < l.address + l.bytes; ++b) words.insert(b);
  }
  ++figures.accesses;
  figures.sectors += int64_t(sectors.size());
  figures.lanes += int64_t(lanes.size());
  figures.wanted += int64_t(words.size());
  touched_.insert(sectors.begin(), sectors.end());
}

// A wavefront serves one word of each bank. Lanes that want the same word share it.
void Meter::count_shared(const std::vector<Lane>& lanes) {
  std::unordered_set<uint64_t> words;
  for (const Lane& l : lanes)
    for (uint64_t w = l.address / kWord; w <= (l.address + l.bytes - 1) / kWord; ++w) words.insert(w);
  int64_t of_bank[kBanks] = {};
  for (const uint64_t w : words) ++of_bank[w % kBanks];
  ++figures.shared_accesses;
  figures.wavefronts += *std::max_element(of_bank, of_bank + kBanks);
  figures.least_wavefronts += int64_t((words.size() + kBanks - 1) / kBanks);
}

}  // namespace ptrain::cuda::ladder

// What g++ calls before each access.
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
#define PTRAIN_ACCESS(name, bytes, writes)                                                                                   \
  void __tsan_##name(void* p) {                                                                                              \
    if (ptrain::cuda::ladder::running) ptrain::cuda::ladder::running->access(p, bytes, writes, __builtin_return_address(0)); \
  }                                                                                                                          \
  void __tsan_unaligned_##name(void* p) {                                                                                    \
    if (ptrain::cuda::ladder::running) ptrain::cuda::ladder::running->access(p, bytes, writes, __builtin_return_address(0)); \
  }
PTRAIN_ACCESS(read1, 1, false)
PTRAIN_ACCESS(read2, 2, false)
PTRAIN_ACCESS(read4, 4, false)
PTRAIN_ACCESS(read8, 8, false)
PTRAIN_ACCESS(read16, 16, false)
PTRAIN_ACCESS(write1, 1, true)
PTRAIN_ACCESS(write2, 2, true)
PTRAIN_ACCESS(write4, 4, true)
PTRAIN_ACCESS(write8, 8, true)
PTRAIN_ACCESS(write16, 16, true)
#undef PTRAIN_ACCESS
void __tsan_read_range(void* p, size_t bytes) {
  if (ptrain::cuda::ladder::running) ptrain::cuda::ladder::running->access(p, bytes, false, __builtin_return_address(0));
}
void __tsan_write_range(void* p, size_t bytes) {
  if (ptrain::cuda::ladder::running) ptrain::cuda::ladder::running->access(p, bytes, true, __builtin_return_address(0));
}
}
