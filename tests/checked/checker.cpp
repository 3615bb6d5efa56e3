#include "tests/checked/checker.hpp"

#include <algorithm>

#include "kernels/error.hpp"
#include "kernels/simt/stream.hpp"

namespace ptrain::test {
namespace {

constexpr uint64_t kSector = 32, kWord = 4, kBanks = 32;
constexpr int64_t kMostThreads = 1024;  // of a block
Checker* running = nullptr;             // there is one at a time

}  // namespace

Checker::Checker() {
  running = this;
  simt::observer = this;
}
Checker::~Checker() {
  simt::observer = nullptr;
  running = nullptr;
}

void Checker::grid_begins(const simt::Grid&) { global_.clear(); }
void Checker::block_begins() {
  shared_.clear();
  ++blocks_;
  barriers_ = 0;
  std::fill(std::begin(met_), std::end(met_), 0);
}

// Within a block by a barrier, within a warp by a meeting of its lanes. Nothing orders two blocks.
bool Checker::ordered(const Touch& before, const Touch& now) const {
  if (before.thread < 0 || before.thread == now.thread || (before.atomic && now.atomic)) return true;
  if (before.thread / kMostThreads != now.thread / kMostThreads) return false;
  if (before.barriers != now.barriers) return true;
  return before.thread / 32 == now.thread / 32 && before.met != now.met;
}

void Checker::look_for_race(uint64_t address, const Touch& now, bool writes, std::unordered_map<uint64_t, Cell>& cells,
                            const char* memory) {
  Cell& cell = cells[address];
  const auto report = [&](const char* what, const Touch& other) {
    figures.races.insert(concat(what, " in ", memory, " memory: threads ", other.thread % kMostThreads, " and ", now.thread % kMostThreads,
                                other.thread / kMostThreads == now.thread / kMostThreads ? " of one block" : " of two blocks"));
  };
  if (!ordered(cell.writer, now)) report(writes ? "two writes" : "a write and a read", cell.writer);
  if (writes) {
    for (const Touch& reader : {cell.reader, cell.other_reader})
      if (!ordered(reader, now)) report("a read and a write", reader);
    cell = {now, {}, {}};
  } else {
    if (cell.reader.thread != now.thread) cell.other_reader = cell.reader;
    cell.reader = now;
  }
}

void Checker::access(const void* p, size_t bytes, bool writes, bool atomic, const void* caller) {
  if (!simt::running_thread.kernel || simt::on_private_stack(p)) return;
  const bool shared = simt::static_shared_range().contains(p) || simt::dynamic_shared_range().contains(p);
  if (!shared && !simt::on_device(p, bytes)) return;  // arguments and constants
  const int thread = simt::running_thread.thread;
  if (turns_.size() <= size_t(thread)) turns_.resize(size_t(thread) + 1);
  const int turn = turns_[size_t(thread)][caller]++;
  const auto address = reinterpret_cast<uint64_t>(p);
  if (!atomic) block_[{caller, thread / 32, turn, shared}].push_back({address, uint32_t(bytes)});
  const Touch now{blocks_ * kMostThreads + thread, barriers_, met_[thread / 32], atomic};
  for (uint64_t b = address; b < address + bytes; ++b)
    look_for_race(b, now, writes, shared ? shared_ : global_, shared ? "shared" : "global");
}

// Sectors: those that the lanes of an access touch, each once. A wavefront serves one word of each bank, to all lanes that want it.
void Checker::block_ends() {
  for (const auto& [key, lanes] : block_) {
    std::unordered_set<uint64_t> sectors, words, bytes;
    for (const Lane& l : lanes)
      for (uint64_t b = l.address; b < l.address + l.bytes; ++b) {
        if (key.shared) words.insert(b / kWord);
        else sectors.insert(b / kSector), bytes.insert(b);
      }
    if (key.shared) {
      int64_t of_bank[kBanks] = {};
      for (const uint64_t w : words) ++of_bank[w % kBanks];
      figures.wavefronts += *std::max_element(of_bank, of_bank + kBanks);
      figures.least += int64_t((words.size() + kBanks - 1) / kBanks);
    } else {
      figures.sectors += int64_t(sectors.size());
      figures.wanted += int64_t(bytes.size());
    }
  }
  block_.clear();
  turns_.clear();
}

}  // namespace ptrain::test

// What g++ calls before each access.
extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
#define PTRAIN_ACCESS(name, bytes, writes)                                                                          \
  void __tsan_##name(void* p) {                                                                                     \
    if (ptrain::test::running) ptrain::test::running->access(p, bytes, writes, false, __builtin_return_address(0)); \
  }                                                                                                                 \
  void __tsan_unaligned_##name(void* p) {                                                                           \
    if (ptrain::test::running) ptrain::test::running->access(p, bytes, writes, false, __builtin_return_address(0)); \
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
  if (ptrain::test::running) ptrain::test::running->access(p, bytes, false, false, __builtin_return_address(0));
}
void __tsan_write_range(void* p, size_t bytes) {
  if (ptrain::test::running) ptrain::test::running->access(p, bytes, true, false, __builtin_return_address(0));
}
}
