// defines: Loader, batches of images prepared ahead by other threads
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "data/cache.hpp"

namespace ptrain {

// Images one after the other: pixels[((i·h + y)·w + x)·c + channel]. c is 1 when all images of the batch are grey, else 3.
struct Batch {
  std::vector<int64_t> indices;  // of the manifest
  std::vector<int32_t> labels;
  int64_t n = 0, h = 0, w = 0, c = 0;
  std::vector<uint8_t> pixels;
};

struct LoaderOptions {
  int64_t batch = 32;
  int threads = 1;
  int ahead = 4;           // batches that may be ready or in work, at least one a thread
  bool drop_last = false;  // leave out a last batch that is not full
};

// Fills a batch for these indices; its buffers are those of an older batch and keep their memory. Called from several threads at once.
using FillBatch = std::function<void(std::span<const int64_t> indices, Batch& batch)>;
FillBatch batches_of(const ImageCache& cache);  // the cache must outlive it

// One pass over an order. The batches, their order and an error, if there is one, are the same for any number of threads.
// next(), stop() and the destructor may be called at any time; none waits for more than the batches that are in work.
class Loader {
 public:
  Loader(FillBatch fill, std::vector<int64_t> order, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // The next batch, in exchange for the buffers of the last one; false at the end and after stop(). What the filling of this batch threw is
  // thrown here, in its turn; after that the loader has ended.
  bool next(Batch& batch);
  void stop();  // from any thread
  int64_t batches() const { return count_; }

 private:
  enum class State { empty, ready, failed };
  struct Place {
    Batch batch;
    State state = State::empty;
    std::exception_ptr error;
  };
  void work();
  void end() noexcept;

  const FillBatch fill_;
  const std::vector<int64_t> order_;
  const int64_t batch_, count_;
  std::mutex mutex_;
  std::condition_variable room_, ready_;
  std::vector<Place> places_;  // batch b is made in place b mod size
  int64_t started_ = 0, taken_ = 0;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace ptrain
