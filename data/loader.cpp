#include "data/loader.hpp"

#include <algorithm>
#include <cstring>

#include "kernels/error.hpp"

namespace ptrain {

FillBatch batches_of(const ImageCache& cache) {
  return [&cache](std::span<const int64_t> indices, Batch& batch) {
    batch.indices.assign(indices.begin(), indices.end());
    batch.labels.clear();
    batch.n = int64_t(indices.size()), batch.h = cache.h(), batch.w = cache.w(), batch.c = 1;
    std::vector<ImageView> views;
    for (int64_t index : indices) {
      views.push_back(cache.get(index));
      batch.labels.push_back(cache.label(index));
      batch.c = std::max(batch.c, views.back().c);
    }
    const size_t image = size_t(batch.h * batch.w);
    batch.pixels.resize(views.size() * image * size_t(batch.c));
    uint8_t* to = batch.pixels.data();
    for (const ImageView& view : views) {
      if (view.c == batch.c) {
        std::memcpy(to, view.pixels, image * size_t(view.c));
      } else {  // a grey image among coloured ones
        for (size_t i = 0; i < image; ++i) to[3 * i] = to[3 * i + 1] = to[3 * i + 2] = view.pixels[i];
      }
      to += image * size_t(batch.c);
    }
  };
}

Loader::Loader(FillBatch fill, std::vector<int64_t> order, const LoaderOptions& options)
    : fill_(std::move(fill)),
      order_(std::move(order)),
      batch_(options.batch),
      count_(options.batch < 1 ? 0 : (int64_t(order_.size()) + (options.drop_last ? 0 : options.batch - 1)) / options.batch) {
  REQUIRE_THAT(options.batch >= 1 && options.threads >= 1 && options.ahead >= 1, "loader: batch ", options.batch, ", ", options.threads, " threads, ",
               options.ahead, " ahead");
  places_.resize(size_t(std::max(options.ahead, options.threads)));
  const int64_t threads = std::min<int64_t>(options.threads, count_);
  try {
    for (int64_t t = 0; t < threads; ++t) threads_.emplace_back([this] { work(); });
  } catch (...) {
    end();
    throw;
  }
}

Loader::~Loader() { end(); }

void Loader::end() noexcept {
  stop();
  for (std::thread& thread : threads_) thread.join();
}

void Loader::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  room_.notify_all();
  ready_.notify_all();
}

void Loader::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    room_.wait(lock, [&] { return stopped_ || started_ == count_ || started_ - taken_ < int64_t(places_.size()); });
    if (stopped_ || started_ == count_) return;
    const int64_t number = started_++;
    Place& place = places_[size_t(number) % places_.size()];  // nobody else's until it is ready
    lock.unlock();
    std::exception_ptr error;
    try {
      const int64_t first = number * batch_;
      fill_(std::span(order_).subspan(size_t(first), size_t(std::min(batch_, int64_t(order_.size()) - first))), place.batch);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    place.error = error;
    place.state = error ? State::failed : State::ready;
    ready_.notify_all();
  }
}

bool Loader::next(Batch& batch) {
  std::unique_lock lock(mutex_);
  if (taken_ == count_) return false;
  Place& place = places_[size_t(taken_) % places_.size()];
  ready_.wait(lock, [&] { return stopped_ || place.state != State::empty; });
  if (stopped_) return false;
  if (place.state == State::failed) {
    stopped_ = true;
    room_.notify_all();
    std::rethrow_exception(place.error);
  }
  std::swap(batch, place.batch);
  place.state = State::empty;
  ++taken_;
  room_.notify_all();
  return true;
}

}  // namespace ptrain
