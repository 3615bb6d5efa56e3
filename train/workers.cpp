#include "train/workers.hpp"

#include <limits>

namespace ptrain {

struct Workers::Job {
  int64_t count = 0, next = 0, finished = 0;
  Task task;
  std::exception_ptr error;
  int64_t error_index = std::numeric_limits<int64_t>::max();
};

Workers::Workers(const std::shared_ptr<Backend>& backend, int threads) {
  REQUIRE_THAT(threads >= 1, "at least one thread is needed, got ", threads);
  for (int i = 0; i < threads; ++i) workers_.push_back(std::make_unique<Worker>(Worker{i, backend->make_exec(1)}));
  for (auto& worker : workers_) threads_.emplace_back([this, &w = *worker] { loop(w); });
}

Workers::~Workers() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  work_.notify_all();
  for (std::thread& t : threads_) t.join();
}

std::shared_ptr<Workers::Job> Workers::start(Urgency urgency, int64_t count, Task task) {
  auto job = std::make_shared<Job>();
  job->count = count;
  job->task = std::move(task);
  if (count == 0) return job;
  {
    const std::lock_guard lock(mutex_);
    queues_[urgency == Urgency::later].push_back(job);
  }
  work_.notify_all();
  return job;
}

void Workers::wait(const std::shared_ptr<Job>& job) {
  std::unique_lock lock(mutex_);
  done_.wait(lock, [&] { return job->finished == job->count; });
  if (job->error) std::rethrow_exception(job->error);
}

bool Workers::take(std::shared_ptr<Job>& job, int64_t& index) {
  for (auto& queue : queues_) {
    if (queue.empty()) continue;
    job = queue.front();
    index = job->next++;
    if (job->next == job->count) queue.pop_front();
    return true;
  }
  return false;
}

void Workers::loop(Worker& worker) {
  std::shared_ptr<Job> job;
  int64_t index = 0;
  std::unique_lock lock(mutex_);
  while (true) {
    work_.wait(lock, [&] { return stop_ || !queues_[0].empty() || !queues_[1].empty(); });
    if (stop_) return;
    if (!take(job, index)) continue;
    lock.unlock();
    std::exception_ptr error;
    try {
      job->task(index, worker);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    if (error && index < job->error_index) job->error = error, job->error_index = index;
    if (++job->finished == job->count) done_.notify_all();
    job.reset();
  }
}

}  // namespace ptrain
