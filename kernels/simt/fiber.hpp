// defines: Fiber: a function with a stack of its own, which can stop in the middle and go on later
#pragma once

#include <cstddef>

namespace ptrain::simt {

// One at a time runs, on the OS thread that calls enter(). Its stack has a guard page below: running over it is a segmentation fault
// and not somebody else's data.
class Fiber {
 public:
  explicit Fiber(void (*main)());  // main never returns: it calls leave() when it has nothing to do
  ~Fiber();                        // also when main stands in the middle of something: what lies on the stack is dropped
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  void enter();         // from outside: runs until the next leave()
  static void leave();  // from inside: back to whoever called enter()

  bool owns(const void* p) const;  // whether p lies on this stack

 private:
  struct Context;
  static constexpr size_t kStack = 256 << 10, kGuard = 4096;  // kernels keep little on the stack; pages that are not used cost nothing
  static void first();

  Context* context_;
  void (*main_)();
  unsigned char* memory_;  // guard, then stack
};

}  // namespace ptrain::simt
