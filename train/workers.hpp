// defines: Workers, the threads that run shards and groups of a batch
#pragma once

#include <condition_variable>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "kernels/backend.hpp"

namespace ptrain {

struct Worker {
  int index = 0;
  std::unique_ptr<Exec> exec;  // of one thread: what a worker computes does not depend on how many there are
};

// A fixed number of threads. Jobs are `count` calls of one function, taken in order by whoever is free; jobs that are needed now go
// before jobs that prepare what comes later, so that nobody idles while a step ends.
class Workers {
 public:
  enum class Urgency { now, later };
  using Task = std::function<void(int64_t index, Worker& worker)>;
  struct Job;

  Workers(const std::shared_ptr<Backend>& backend, int threads);
  ~Workers();  // waits for the tasks in flight, drops the rest
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  int threads() const { return int(workers_.size()); }
  std::shared_ptr<Job> start(Urgency urgency, int64_t count, Task task);
  void wait(const std::shared_ptr<Job>& job);  // rethrows the error of the lowest index that failed
  void run(int64_t count, Task task) { wait(start(Urgency::now, count, std::move(task))); }

 private:
  void loop(Worker& worker);
  bool take(std::shared_ptr<Job>& job, int64_t& index);

  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::deque<std::shared_ptr<Job>> queues_[2];
  bool stop_ = false;
};

}  // namespace ptrain
