// defines: enqueue(): how work gets onto a stand-in stream, and what the other stand-ins (cuBLAS, cuDNN) need to know of the runtime
#pragma once

#include <functional>

#include "cuda_runtime.h"
#include "kernels/simt/grid.hpp"

namespace ptrain::simt {

// The stand-in has three devices. They differ in the schedule of their threads only: 0 forward, 1 reverse, 2 random. On device 2 streams
// are lazy as well: work runs when somebody waits for it, so that a missing wait is a wrong result.
constexpr int kDevices = 3;

// Runs `work` after all that is on the stream, at once (devices 0 and 1) or when waited for; while the stream is captured it becomes
// a step of the graph instead.
void enqueue(cudaStream_t, std::function<void()> work);
Order order_of(cudaStream_t);

// True, and the capture is lost, when this thread captures a stream: then calls that could wait for the device are forbidden to it.
bool forbidden_now();

// Whether [p, p + bytes) lies inside one allocation of a device.
bool on_device(const void* p, size_t bytes);

}  // namespace ptrain::simt
