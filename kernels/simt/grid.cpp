#include "kernels/simt/grid.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <mutex>
#include <numeric>
#include <utility>
#include <vector>

#include "kernels/error.hpp"
#include "kernels/simt/fiber.hpp"

namespace ptrain::simt {
namespace {

constexpr int kWarp = 32;
constexpr uint32_t kMaxThreads = 1024;

enum class State : uint8_t { fresh, running, ready, at_barrier, at_collective, done };

struct Thread {
  State state = State::fresh;
  int fiber = -1;
  uint32_t mask = 0;  // of the collective at which it waits
  Collective what = Collective::sync;
  int source = 0;
  uint64_t value = 0, result = 0;
  Site site;
};

// xorshift64*: the schedule `random` must be the same for the same seed on every machine.
struct Random {
  uint64_t state = 1;
  size_t below(size_t n) {
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return size_t((state * 0x2545F4914F6CDD1Dull >> 32) % n);
  }
  template <class T>
  void shuffle(std::vector<T>& v) {
    for (size_t i = v.size(); i > 1; --i) std::swap(v[i - 1], v[below(i)]);
  }
};

// Marks the emulator's own work, so that an observer does not take it for the kernel's.
struct InEmulator {
  bool was = running_thread.kernel;
  InEmulator() { running_thread.kernel = false; }
  ~InEmulator() { running_thread.kernel = was; }
};

// The one block that runs, and the fibers that blocks share.
class Block {
 public:
  void run(const Grid& grid, void (*kernel)(void*), void* argument);
  void sync_threads(Site site);
  uint64_t collective(uint32_t mask, Collective what, uint64_t value, int source, Site site);
  bool on_stack(const void* p) const { return current_ >= 0 && fibers_[size_t(current_)]->owns(p); }
  unsigned char* static_shared() const { return static_shared_.get(); }
  unsigned char* dynamic_shared() const { return dynamic_shared_.get(); }
  size_t dynamic_size() const { return dynamic_size_; }
  void* take_shared(size_t size, size_t align);
  size_t shared_used() const { return shared_used_; }

 private:
  static void fiber_main();
  void run_threads();  // what a fiber does
  void run_block();
  void enter(int fiber);
  void wait();  // the running thread lets go of the processor until it is ready again
  void make_ready(int thread);
  void release_barrier();
  void finish_collective(int first, uint32_t mask, Collective what);
  void become(int thread);
  void raise();
  [[noreturn]] void deadlock() const;

  const Grid* grid_ = nullptr;
  void (*kernel_)(void*) = nullptr;
  void* argument_ = nullptr;
  Random random_;

  std::vector<Thread> threads_;
  std::vector<uint3> index_;    // of each thread
  std::vector<int> start_;      // the order in which threads begin
  std::vector<int> ready_;      // those that may go on
  size_t next_ = 0;             // in start_
  int live_ = 0, waiting_ = 0;  // not yet done; at the barrier
  int current_ = -1;            // fiber
  std::exception_ptr error_;
  std::string where_;  // of error_

  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<int> idle_;

  struct Free {
    void operator()(unsigned char* p) const { std::free(p); }
  };
  static unsigned char* take(size_t bytes) { return static_cast<unsigned char*>(std::aligned_alloc(256, (bytes + 255) / 256 * 256)); }
  std::unique_ptr<unsigned char, Free> static_shared_{take(kStaticShared)}, dynamic_shared_;
  size_t dynamic_size_ = 0, dynamic_capacity_ = 0, shared_used_ = 0;
};

Block& block() {
  static Block* one = new Block;  // never destroyed: kernels may run while the program ends
  return *one;
}
std::mutex one_grid;

void Block::become(int thread) {
  running_thread.thread = thread;
  builtins.thread = index_[size_t(thread)];
}

void Block::make_ready(int thread) {
  threads_[size_t(thread)].state = State::ready;
  ready_.push_back(thread);
}

void Block::fiber_main() {
  for (;;) {
    block().run_threads();
    Fiber::leave();
  }
}

void Block::run_threads() {
  while (next_ < start_.size() && !error_) {
    const int thread = start_[next_++];
    Thread& t = threads_[size_t(thread)];
    t.fiber = current_;
    t.state = State::running;
    become(thread);
    running_thread.kernel = true;
    try {
      kernel_(argument_);
    } catch (...) {
      if (!error_) {
        error_ = std::current_exception();
        const uint3 b = builtins.block, i = index_[size_t(running_thread.thread)];
        where_ = concat("block (", b.x, ", ", b.y, ", ", b.z, "), thread (", i.x, ", ", i.y, ", ", i.z, ")");
      }
    }
    running_thread.kernel = false;
    threads_[size_t(running_thread.thread)].state = State::done;
    --live_;
    release_barrier();
    if (!ready_.empty()) break;  // the scheduler chooses
  }
  idle_.push_back(current_);
}

void Block::enter(int fiber) {
  current_ = fiber;
  fibers_[size_t(fiber)]->enter();
}

void Block::wait() {
  const int thread = running_thread.thread;
  Fiber::leave();
  become(thread);
  threads_[size_t(thread)].state = State::running;
}

void Block::sync_threads(Site site) {
  const InEmulator in;
  const int thread = running_thread.thread;
  Thread& t = threads_[size_t(thread)];
  t.state = State::at_barrier;
  t.site = site;
  ++waiting_;
  release_barrier();
  if (t.state == State::ready && grid_->order == Order::forward) {  // it was the last to come: it goes on at once
    ready_.erase(std::find(ready_.begin(), ready_.end(), thread));
    t.state = State::running;
    return;
  }
  wait();
}

// Threads that have returned count as there, as they do from sm_70 on.
void Block::release_barrier() {
  if (waiting_ == 0 || waiting_ < live_) return;
  const Site* site = nullptr;
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread& t = threads_[i];
    if (t.state != State::at_barrier) continue;
    if (site && !(*site == t.site) && !error_)
      error_ =
          std::make_exception_ptr(Error(ErrorKind::failed, concat("threads of one block met at two different __syncthreads(): ", site->file,
                                                                  ":", site->line, " and ", t.site.file, ":", t.site.line)));
    site = &t.site;
    make_ready(int(i));
  }
  waiting_ = 0;
  if (observer) observer->barrier();
}

uint64_t Block::collective(uint32_t mask, Collective what, uint64_t value, int source, Site site) {
  const InEmulator in;
  const int thread = running_thread.thread, lane = thread % kWarp, first = thread - lane;
  const int lanes = std::min<int>(kWarp, int(threads_.size()) - first);
  if (!(mask >> lane & 1))
    kernel_error(concat("lane ", lane, " calls a warp collective whose mask leaves it out, at ", site.file, ":", site.line));
  if (lanes < kWarp && mask != 0xffffffffu && (mask >> lanes) != 0)
    kernel_error(concat("the mask of a warp collective names lanes that the block does not have, at ", site.file, ":", site.line));
  Thread& t = threads_[size_t(thread)];
  t.mask = mask, t.what = what, t.value = value, t.source = source, t.site = site;
  t.state = State::at_collective;
  bool all = true;
  for (int i = 0; i < lanes; ++i) {
    if (!(mask >> i & 1)) continue;
    const Thread& other = threads_[size_t(first + i)];
    if (other.state == State::done)
      kernel_error(concat("the mask of a warp collective names lane ", i, ", which has returned, at ", site.file, ":", site.line));
    all &= other.state == State::at_collective && other.mask == mask && other.what == what && other.site == site;
  }
  if (!all) {
    wait();
    return t.result;
  }
  finish_collective(first, mask, what);
  if (observer) observer->warp_met(first / kWarp, mask);
  for (int i = 0; i < lanes; ++i)
    if ((mask >> i & 1) && i != lane) make_ready(first + i);
  t.state = State::running;
  return t.result;
}

void Block::finish_collective(int first, uint32_t mask, Collective what) {
  const int lanes = std::min<int>(kWarp, int(threads_.size()) - first);
  uint32_t votes = 0;
  for (int i = 0; i < lanes; ++i)
    if (mask >> i & 1) votes |= uint32_t(threads_[size_t(first + i)].value & 1) << i;
  for (int i = 0; i < lanes; ++i) {
    if (!(mask >> i & 1)) continue;
    Thread& t = threads_[size_t(first + i)];
    if (what != Collective::shuffle) {
      t.result = votes;
      continue;
    }
    if (!(mask >> t.source & 1))
      kernel_error(concat("a shuffle reads lane ", t.source, ", which its mask leaves out, at ", t.site.file, ":", t.site.line));
    t.result = t.source < lanes ? threads_[size_t(first + t.source)].value : t.value;
  }
}

void Block::deadlock() const {
  int barrier = 0, warp = 0, done = 0;
  Site site;
  for (const Thread& t : threads_) {
    barrier += t.state == State::at_barrier;
    warp += t.state == State::at_collective;
    done += t.state == State::done;
    if (t.state == State::at_barrier || t.state == State::at_collective) site = t.site;
  }
  const uint3 b = builtins.block;
  fail(ErrorKind::failed, "deadlock in block (", b.x, ", ", b.y, ", ", b.z, "): ", barrier, " threads wait at __syncthreads(), ", warp,
       " at a warp collective, ", done, " have returned; one of them at ", site.file, ":", site.line);
}

// The error of a thread ends the launch. Threads that wait are dropped with their stacks.
void Block::raise() {
  const std::exception_ptr error = std::exchange(error_, nullptr);
  fibers_.clear();
  idle_.clear();
  current_ = -1;
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    throw Error(e.kind(), where_.empty() ? concat("in a kernel: ", e.what()) : concat("in a kernel, ", where_, ": ", e.what()));
  }
}

void Block::run_block() {
  const size_t n = threads_.size();
  for (Thread& t : threads_) t.state = State::fresh, t.fiber = -1;
  live_ = int(n), waiting_ = 0, next_ = 0;
  ready_.clear();
  where_.clear();
  if (grid_->order == Order::random) random_.shuffle(start_);
  std::memset(static_shared_.get(), 0xff, shared_used_);
  if (dynamic_size_) std::memset(dynamic_shared_.get(), 0xff, dynamic_size_);
  if (observer) observer->block_begins();
  std::vector<int> batch;
  while (live_ > 0) {
    if (!ready_.empty()) {
      if (grid_->order == Order::forward) {  // first come, first served: all of them, then whoever became ready meanwhile
        batch.swap(ready_);
        for (const int thread : batch) {
          enter(threads_[size_t(thread)].fiber);
          if (error_) break;
        }
        batch.clear();
      } else {
        const size_t i = grid_->order == Order::random ? random_.below(ready_.size()) : ready_.size() - 1;
        const int thread = ready_[i];
        ready_[i] = ready_.back();
        ready_.pop_back();
        enter(threads_[size_t(thread)].fiber);
      }
    } else if (next_ < n) {
      if (idle_.empty()) {
        fibers_.push_back(std::make_unique<Fiber>(&Block::fiber_main));
        idle_.push_back(int(fibers_.size()) - 1);
      }
      const int fiber = idle_.back();
      idle_.pop_back();
      enter(fiber);
    } else {
      try {
        deadlock();
      } catch (...) {
        error_ = std::current_exception();
      }
    }
    if (error_) raise();
  }
  if (error_) raise();
  if (observer) observer->block_ends();
}

void Block::run(const Grid& grid, void (*kernel)(void*), void* argument) {
  const auto [x, y, z] = grid.threads;
  const size_t n = size_t(x) * y * z;
  REQUIRE_THAT(n >= 1 && n <= kMaxThreads && grid.shared_bytes <= kDynamicShared, "launch: ", n, " threads a block and ", grid.shared_bytes,
               " bytes of shared memory; at most ", kMaxThreads, " and ", kDynamicShared, " are allowed");
  grid_ = &grid, kernel_ = kernel, argument_ = argument;
  random_.state = grid.seed * 0x9E3779B97F4A7C15ull + 1;
  threads_.assign(n, {});
  index_.resize(n);
  for (size_t i = 0; i < n; ++i) index_[i] = {unsigned(i % x), unsigned(i / x % y), unsigned(i / (size_t(x) * y))};
  start_.resize(n);
  std::iota(start_.begin(), start_.end(), 0);
  if (grid.order == Order::reverse) std::reverse(start_.begin(), start_.end());
  if (grid.shared_bytes > dynamic_capacity_) {
    dynamic_shared_.reset(take(grid.shared_bytes));
    dynamic_capacity_ = grid.shared_bytes;
  }
  dynamic_size_ = grid.shared_bytes;
  shared_used_ = 0;
  builtins.threads = grid.threads, builtins.blocks = grid.blocks;

  const uint64_t blocks = uint64_t(grid.blocks.x) * grid.blocks.y * grid.blocks.z;
  std::vector<uint32_t> order;
  if (grid.order == Order::random) {
    order.resize(blocks);
    std::iota(order.begin(), order.end(), 0u);
    random_.shuffle(order);
  }
  for (uint64_t i = 0; i < blocks; ++i) {
    const uint64_t b = grid.order == Order::forward ? i : grid.order == Order::reverse ? blocks - 1 - i : order[i];
    builtins.block = {unsigned(b % grid.blocks.x), unsigned(b / grid.blocks.x % grid.blocks.y),
                      unsigned(b / (uint64_t(grid.blocks.x) * grid.blocks.y))};
    run_block();
  }
}

void* Block::take_shared(size_t size, size_t align) {
  const size_t begin = (shared_used_ + align - 1) / align * align;
  if (begin + size > kStaticShared) kernel_error(concat("a block has more than ", kStaticShared, " bytes of static shared memory"));
  shared_used_ = begin + size;
  std::memset(static_shared_.get() + begin, 0xff, size);
  return static_shared_.get() + begin;
}

}  // namespace

void run_grid(const Grid& grid, void (*kernel)(void*), void* argument) {
  const std::lock_guard lock(one_grid);
  ++SharedVariable::current_launch;
  if (observer) observer->grid_begins(grid);
  block().run(grid, kernel, argument);
  if (observer) observer->grid_ends();
}

void sync_threads(Site site) { block().sync_threads(site); }
uint64_t collective(uint32_t mask, Collective what, uint64_t value, int source, Site site) {
  return block().collective(mask, what, value, source, site);
}
int lane_index() { return running_thread.thread % kWarp; }
void kernel_error(const std::string& what) { throw Error(ErrorKind::failed, what); }

void* dynamic_shared() { return block().dynamic_shared(); }
void* SharedVariable::assign() {
  const InEmulator in;
  place_ = block().take_shared(size_, align_);
  launch_ = current_launch;
  return place_;
}

bool on_private_stack(const void* p) { return block().on_stack(p); }
SharedRange static_shared_range() { return {block().static_shared(), block().static_shared() + block().shared_used()}; }
SharedRange dynamic_shared_range() { return {block().dynamic_shared(), block().dynamic_shared() + block().dynamic_size()}; }

}  // namespace ptrain::simt
