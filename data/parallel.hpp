// defines: parallel_for()
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace ptrain {

// Calls f(i) for every i in [0, n) from `threads` threads, each taking the next i when it is free. What f throws is thrown here, after
// all threads have stopped; no new i is begun then.
template <class F>
void parallel_for(int threads, int64_t n, const F& f) {
  std::atomic<int64_t> next{0};
  std::exception_ptr error;
  std::mutex mutex;
  const auto work = [&] {
    try {
      for (int64_t i; (i = next.fetch_add(1)) < n;) f(i);
    } catch (...) {
      next = n;
      const std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> others;  // joined at the end of the block
    for (int64_t t = 1; t < std::min<int64_t>(threads, n); ++t) others.emplace_back(work);
    work();
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace ptrain
