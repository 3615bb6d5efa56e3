// Stand-in for the CUDA runtime: streams, events, graphs.
#include "kernels/simt/stream.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

using Work = std::function<void()>;

struct CUstream_st {
  int device = 0;
  std::deque<Work> queue;
  CUgraph_st* graph = nullptr;  // where work goes while it is captured
  bool invalidated = false;     // by a call that may not be captured
  bool running = false;
};
// Each record has a number; an event has happened up to the number of the last record that a stream came by.
struct CUevent_st {
  CUstream_st* stream = nullptr;
  CUgraph_st* graph = nullptr;  // of the capture that recorded it last; nullptr: none did
  uint64_t recorded = 0, happened = 0;
  std::chrono::steady_clock::time_point time;
};
struct CUgraph_st {
  std::vector<Work> steps;
};
struct CUgraphExec_st {
  std::vector<Work> steps;
};

namespace ptrain::simt {
namespace {

std::recursive_mutex& runtime() {
  static auto* one = new std::recursive_mutex;
  return *one;
}
std::vector<CUstream_st*>& streams() {
  static auto* all = new std::vector<CUstream_st*>;
  return *all;
}

thread_local CUstream_st* captured_here = nullptr;  // by this thread, in a mode that forbids it what could wait

// The stream of who names none: one a device.
CUstream_st* find(cudaStream_t stream) {
  static CUstream_st defaults[kDevices] = {{0}, {1}, {2}};
  if (stream) return stream;
  int device = 0;
  cudaGetDevice(&device);
  return &defaults[device];
}

void drain(CUstream_st* s) {
  if (s->running) return;  // it waits for itself: what is before has run
  s->running = true;
  struct Done {
    bool& running;
    ~Done() { running = false; }
  } done{s->running};
  while (!s->queue.empty()) {
    const Work work = std::move(s->queue.front());
    s->queue.pop_front();
    work();
  }
}

void drain_until(const CUevent_st* e, uint64_t record) {
  CUstream_st* s = e->stream;
  while (s && e->happened < record && !s->queue.empty()) {
    const Work work = std::move(s->queue.front());
    s->queue.pop_front();
    work();
  }
}

}  // namespace

void enqueue(cudaStream_t stream, std::function<void()> work) {
  const std::lock_guard lock(runtime());
  CUstream_st* s = find(stream);
  if (s->graph) {
    s->graph->steps.push_back(std::move(work));
    return;
  }
  s->queue.push_back(std::move(work));
  if (order_of(stream) != Order::random) drain(s);
}

bool forbidden_now() {
  if (captured_here) captured_here->invalidated = true;
  return captured_here != nullptr;
}

Order order_of(cudaStream_t stream) { return Order(find(stream)->device); }

}  // namespace ptrain::simt

using namespace ptrain::simt;

extern "C" {

cudaError_t cudaDeviceSynchronize() {
  if (forbidden_now()) return cudaErrorStreamCaptureUnsupported;
  const std::lock_guard lock(runtime());
  for (CUstream_st* s : streams())
    if (!s->graph) drain(s);
  drain(find(nullptr));
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  const std::lock_guard lock(runtime());
  *stream = new CUstream_st;
  cudaGetDevice(&(*stream)->device);
  streams().push_back(*stream);
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const std::lock_guard lock(runtime());
  const auto it = std::find(streams().begin(), streams().end(), stream);
  if (it == streams().end()) return cudaErrorInvalidResourceHandle;
  drain(stream);
  streams().erase(it);
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  const std::lock_guard lock(runtime());
  CUstream_st* s = find(stream);
  if (s->graph) {
    s->invalidated = true;
    return cudaErrorStreamCaptureUnsupported;
  }
  if (forbidden_now()) return cudaErrorStreamCaptureUnsupported;
  drain(s);
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::lock_guard lock(runtime());
  drain_until(event, event->recorded);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(runtime());
  event->stream = find(stream);
  event->graph = event->stream->graph;
  const uint64_t record = ++event->recorded;
  enqueue(stream, [event, record] {
    event->happened = record;
    event->time = std::chrono::steady_clock::now();
  });
  return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(runtime());
  if (event->recorded == 0) return cudaSuccess;  // as the runtime has it: nothing to wait for
  // What is captured may only wait for what was captured with it; what is not may not wait for a capture.
  CUstream_st* s = find(stream);
  if (s->graph != event->graph) {
    s->invalidated = true;
    return cudaErrorStreamCaptureIsolation;
  }
  enqueue(stream, [event, record = event->recorded] { drain_until(event, record); });
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (forbidden_now()) return cudaErrorStreamCaptureUnsupported;
  const std::lock_guard lock(runtime());
  drain_until(event, event->recorded);
  return cudaSuccess;
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  const std::lock_guard lock(runtime());
  return event->happened < event->recorded ? cudaErrorNotReady : cudaSuccess;
}
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t from, cudaEvent_t to) {
  const std::lock_guard lock(runtime());
  if (from->happened < from->recorded || to->happened < to->recorded) return cudaErrorNotReady;
  *milliseconds = std::chrono::duration<float, std::milli>(to->time - from->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(runtime());
  if (!stream || stream->graph || captured_here) return cudaErrorStreamCaptureUnsupported;
  stream->graph = new CUgraph_st;
  stream->invalidated = false;
  if (mode != cudaStreamCaptureModeRelaxed) captured_here = stream;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(runtime());
  if (!stream || !stream->graph) return cudaErrorStreamCaptureInvalidated;
  CUgraph_st* captured = std::exchange(stream->graph, nullptr);
  if (captured_here == stream) captured_here = nullptr;
  if (stream->invalidated) {
    delete captured;
    *graph = nullptr;
    return cudaErrorStreamCaptureInvalidated;
  }
  *graph = captured;
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  *exec = new CUgraphExec_st{graph->steps};
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  for (const Work& step : exec->steps) enqueue(stream, step);
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

}  // extern "C"
