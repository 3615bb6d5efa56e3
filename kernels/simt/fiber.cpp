#include "kernels/simt/fiber.hpp"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if !defined(__x86_64__)
#include <ucontext.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// Saves the registers that a callee must keep on this stack, changes stacks, takes them from the other one: 40 times as fast as
// swapcontext, which also asks the kernel for the signal mask.
extern "C" void ptrain_simt_switch(void** save, void* load);
__asm__(R"(
.pushsection .text
.hidden ptrain_simt_switch
.globl ptrain_simt_switch
.type ptrain_simt_switch, @function
ptrain_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size ptrain_simt_switch, .-ptrain_simt_switch
.popsection
)");
#endif

namespace ptrain::simt {

struct Fiber::Context {
#if defined(__x86_64__)
  void* inside = nullptr;  // stack pointers of the two sides
  void* outside = nullptr;
  void switch_in() { ptrain_simt_switch(&outside, inside); }
  void switch_out() { ptrain_simt_switch(&inside, outside); }
#else
  ucontext_t inside, outside;
  void switch_in() { swapcontext(&outside, &inside); }
  void switch_out() { swapcontext(&inside, &outside); }
#endif
  // What AddressSanitizer wants to know about the stacks.
  void* fake_inside = nullptr;
  void* fake_outside = nullptr;
  const void* outside_stack = nullptr;
  size_t outside_size = 0;
};

namespace {
Fiber* running = nullptr;
}

Fiber::Fiber(void (*main)()) : context_(new Context), main_(main) {
  void* memory = mmap(nullptr, kGuard + kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuard, PROT_NONE) != 0) {
    delete context_;
    throw std::bad_alloc();
  }
  memory_ = static_cast<unsigned char*>(memory);
#if defined(__x86_64__)
  // As if first() had been called and had switched out at its very beginning: six registers, the address to return to, and one more
  // word so that the stack is aligned as a function expects it.
  void** top = reinterpret_cast<void**>(memory_ + kGuard + kStack) - 2;
  top[0] = reinterpret_cast<void*>(&Fiber::first);
  top[1] = nullptr;
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  context_->inside = top;
#else
  getcontext(&context_->inside);
  context_->inside.uc_stack.ss_sp = memory_ + kGuard;
  context_->inside.uc_stack.ss_size = kStack;
  context_->inside.uc_link = nullptr;
  makecontext(&context_->inside, &Fiber::first, 0);
#endif
}

Fiber::~Fiber() {
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(memory_ + kGuard, kStack);  // the marks of frames that never returned
#endif
  munmap(memory_, kGuard + kStack);
  delete context_;
}

void Fiber::first() {
  Fiber* self = running;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(nullptr, &self->context_->outside_stack, &self->context_->outside_size);
#endif
  self->main_();
}

void Fiber::enter() {
  running = this;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&context_->fake_outside, memory_ + kGuard, kStack);
#endif
  context_->switch_in();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(context_->fake_outside, nullptr, nullptr);
#endif
  running = nullptr;
}

void Fiber::leave() {
  Context& c = *running->context_;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&c.fake_inside, c.outside_stack, c.outside_size);
#endif
  c.switch_out();
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(c.fake_inside, &c.outside_stack, &c.outside_size);
#endif
}

bool Fiber::owns(const void* p) const {
  const auto at = reinterpret_cast<uintptr_t>(p), base = reinterpret_cast<uintptr_t>(memory_);
  return at >= base && at < base + kGuard + kStack;
}

}  // namespace ptrain::simt
