// defines: run_grid(): runs a kernel's threads on the host, as the blocks and warps of a GPU. How kernels see it: simt.hpp.
//
// A thread is a plain call of the kernel. As long as threads do not wait for each other one fiber calls them one after the other, at
// the price of a loop. A thread that waits (__syncthreads, a warp collective) keeps its fiber, and another fiber goes on with the rest:
// only waiting threads cost a stack. Which thread runs next is the schedule: kernels must give the same result in all of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "vector_types.h"

namespace ptrain::simt {

enum class Order : uint8_t { forward, reverse, random };  // of the blocks of a grid, of the threads of a block, of those that wait

struct Grid {
  dim3 blocks, threads;
  size_t shared_bytes = 0;
  Order order = Order::forward;
  uint64_t seed = 1;
};

// A place in the source: which __syncthreads() it is. Not a return address: compilers duplicate calls.
struct Site {
  const char* file = nullptr;
  int line = 0;
  bool operator==(const Site& o) const { return line == o.line && (file == o.file || std::string_view(file) == o.file); }
};

// What a kernel reads as threadIdx and so on.
struct Builtins {
  uint3 thread, block;
  dim3 threads, blocks;
};
inline Builtins builtins;

// Runs all threads of a grid; `kernel` calls the kernel once. One grid runs at a time, whoever calls. An error of the kernel (a deadlock,
// a wrong mask, an exception) comes out as an exception that names block and thread.
void run_grid(const Grid&, void (*kernel)(void*), void* argument);

// What kernels call.
void sync_threads(Site);
enum class Collective : uint8_t { sync, shuffle, ballot };
uint64_t collective(uint32_t mask, Collective what, uint64_t value, int source, Site);
int lane_index();  // of the running thread in its warp
[[noreturn]] void kernel_error(const std::string& what);

constexpr size_t kStaticShared = 48 << 10, kDynamicShared = 227 << 10;  // bytes a block may have: every card, the largest card
void* dynamic_shared();
// The memory of one __shared__ variable. The first thread that comes by in a launch gives it its place; every block finds NaN there.
class SharedVariable {
 public:
  constexpr SharedVariable(size_t size, size_t align) : size_(size), align_(align) {}
  void* get() { return launch_ == current_launch ? place_ : assign(); }

 private:
  friend void run_grid(const Grid&, void (*)(void*), void*);
  void* assign();
  inline static uint64_t current_launch = 0;
  size_t size_, align_;
  uint64_t launch_ = 0;
  void* place_ = nullptr;
};

// Watches what threads do: the checker is one (checker.hpp). There is none, or one.
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void grid_begins(const Grid&) {}
  virtual void grid_ends() {}
  virtual void block_begins() {}
  virtual void block_ends() {}
  virtual void barrier() {}                                  // all threads of the block have met
  virtual void warp_met(int /*warp*/, uint32_t /*mask*/) {}  // these lanes of a warp have met
  virtual void atomic(void* /*p*/, size_t /*bytes*/, const void* /*caller*/) {}
};
inline Observer* observer = nullptr;

// For observers: who runs, and where private and shared memory lie.
struct Running {
  bool kernel = false;  // a thread's own code runs, not the emulator
  int thread = 0;       // in the block
};
inline Running running_thread;
bool on_private_stack(const void* p);
struct SharedRange {
  const unsigned char *begin = nullptr, *end = nullptr;
  bool contains(const void* p) const { return p >= begin && p < end; }
};
SharedRange static_shared_range();
SharedRange dynamic_shared_range();

}  // namespace ptrain::simt
