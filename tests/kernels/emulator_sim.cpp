// The emulator itself: small kernels whose results are known, and faulty ones that it must name.
#include <cmath>
#include <functional>
#include <vector>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/types.cuh"
#include "tests/support/support.hpp"

using namespace ptrain;
using ptrain::cuda::launch;

namespace {

// Runs body(stream) on the three devices: forward, reverse, random and lazy.
template <class F>
void in_each_schedule(F&& body) {
  for (int device = 0; device < simt::kDevices; ++device) {
    INFO("schedule ", device);
    cudaSetDevice(device);
    cudaStream_t stream = nullptr;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    body(stream);
    cudaStreamDestroy(stream);
  }
  cudaSetDevice(0);
}

// What running the launch says, or "" when it says nothing.
template <class F>
std::string message_of(cudaStream_t stream, F&& f) {
  try {
    f();
    cudaStreamSynchronize(stream);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

__global__ void reverse_kernel(const int* x, int* y, int n) {
  PTRAIN_SHARED(int, tile, [64]);
  PTRAIN_DYNAMIC_SHARED(int, again);
  const int t = int(threadIdx.x), first = int(blockIdx.x) * 64;
  if (first + t < n) tile[t] = x[first + t];
  __syncthreads();
  again[63 - t] = tile[t];
  __syncthreads();
  if (first + t < n) y[first + t] = again[t];
}

__global__ void block_sum_kernel(const float* x, float* y, int n) {
  PTRAIN_SHARED(float, part, [32]);
  const int t = int(threadIdx.x), i = int(blockIdx.x * blockDim.x) + t;
  float v = i < n ? x[i] : 0;
  for (int o = 16; o > 0; o /= 2) v += __shfl_down_sync(0xffffffffu, v, unsigned(o));
  if (t % 32 == 0) part[t / 32] = v;
  __syncthreads();
  if (t >= 32) return;
  v = t < int(blockDim.x) / 32 ? part[t] : 0;
  for (int o = 16; o > 0; o /= 2) v += __shfl_xor_sync(0xffffffffu, v, o);
  if (t == 0) atomicAdd(y, v);
}

__global__ void vote_kernel(int* y) {
  const int t = int(threadIdx.x);
  y[t] = int(__ballot_sync(0xffffffffu, t % 3 == 0));
  y[32 + t] = __shfl_up_sync(0xffffffffu, t, 1, 8);
}

__global__ void deadlock_kernel(float* y) {
  if (threadIdx.x < 16) __syncthreads();
  else y[threadIdx.x] = __shfl_down_sync(0xffffffffu, 1.f, 1);
}
__global__ void two_barriers_kernel() {
  if (threadIdx.x % 2) __syncthreads();
  else __syncthreads();
}
__global__ void wrong_mask_kernel() {
  if (threadIdx.x >= 16) __syncwarp(0x0000ffffu);
}
__global__ void exited_lane_kernel() {
  if (threadIdx.x == 5) return;
  if (threadIdx.x > 5) __syncwarp();
}
__global__ void missing_fill_kernel(float* y) {
  PTRAIN_SHARED(float, s, [32]);
  if (threadIdx.x < 31) s[threadIdx.x] = 1;
  __syncthreads();
  y[threadIdx.x] = s[threadIdx.x];
}
__global__ void read_past_barrier_kernel(int* y) {
  PTRAIN_SHARED(int, s, [64]);
  s[threadIdx.x] = int(threadIdx.x);
  y[threadIdx.x] = s[63 - threadIdx.x];
}

struct DeviceInts {
  explicit DeviceInts(int64_t n) { cudaMalloc(reinterpret_cast<void**>(&p), size_t(n) * 4); }
  ~DeviceInts() { cudaFree(p); }
  int* p = nullptr;
  float* f() { return reinterpret_cast<float*>(p); }
};

}  // namespace

TEST_CASE("simt: shared memory, barriers and the edges of a grid") {
  in_each_schedule([](cudaStream_t stream) {
    DeviceInts x(200), y(256);
    for (int i = 0; i < 200; ++i) x.p[i] = i;
    launch(reverse_kernel, 4, 64, 64 * sizeof(int), stream, x.p, y.p, 200);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    for (int i = 0; i < 192; ++i) CHECK(y.p[i] == i / 64 * 64 + 63 - i % 64);
    CHECK(y.p[200] == -1);  // nobody wrote there
  });
}

TEST_CASE("simt: shuffles, votes, atomics") {
  in_each_schedule([](cudaStream_t stream) {
    DeviceInts x(1000), y(64);
    for (int i = 0; i < 1000; ++i) x.f()[i] = float(i);
    y.f()[0] = 0;
    launch(block_sum_kernel, 4, 256, 0, stream, x.f(), y.f(), 1000);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(y.f()[0] == 499500.f);
    launch(vote_kernel, 1, 32, 0, stream, y.p);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    for (int t = 0; t < 32; ++t) {
      CHECK(y.p[t] == 0x49249249);
      CHECK(y.p[32 + t] == (t % 8 == 0 ? t : t - 1));
    }
  });
}

TEST_CASE("simt: faults of kernels have names, and the emulator works on after them") {
  in_each_schedule([](cudaStream_t stream) {
    DeviceInts y(64);
    const auto says = [&](const char* text, auto kernel, auto... args) {
      const std::string message = message_of(stream, [&] { launch(kernel, 1, 32, 0, stream, args...); });
      CHECK_MESSAGE(message.find(text) != std::string::npos, message);
    };
    for (int again = 0; again < 3; ++again) {
      says("16 threads wait at __syncthreads(), 16 at a warp collective", deadlock_kernel, y.f());
      says("two different __syncthreads()", two_barriers_kernel);
      says("whose mask leaves it out", wrong_mask_kernel);
      launch(vote_kernel, 1, 32, 0, stream, y.p);
      CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
      CHECK(y.p[3] == 0x49249249);
    }
    const std::string exited = message_of(stream, [&] { launch(exited_lane_kernel, 1, 32, 0, stream); });
    CHECK_MESSAGE((exited.find("has returned") != std::string::npos || exited.find("deadlock") != std::string::npos), exited);
    const std::string large = message_of(stream, [&] { launch(vote_kernel, 1, 2048, 0, stream, y.p); });
    CHECK_MESSAGE(large.find("2048 threads a block") != std::string::npos, large);
  });
}

TEST_CASE("simt: shared memory that nobody wrote is NaN in every block") {
  in_each_schedule([](cudaStream_t stream) {
    DeviceInts y(64);
    for (int again = 0; again < 2; ++again) {
      launch(missing_fill_kernel, 2, 32, 0, stream, y.f());
      CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
      CHECK(y.f()[30] == 1);
      CHECK(std::isnan(y.f()[31]));
    }
  });
}

TEST_CASE("simt: a missing barrier gives a wrong result in every schedule") {
  in_each_schedule([](cudaStream_t stream) {
    DeviceInts y(64);
    launch(read_past_barrier_kernel, 1, 64, 0, stream, y.p);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    bool right = true;
    for (int t = 0; t < 64; ++t) right &= y.p[t] == 63 - t;
    CHECK_FALSE(right);
  });
}

TEST_CASE("simt: what a captured stream forbids, as CUDA has it") {
  in_each_schedule([](cudaStream_t stream) {
    DeviceInts y(64);
    cudaEvent_t before = nullptr;
    REQUIRE(cudaEventCreateWithFlags(&before, cudaEventDisableTiming) == cudaSuccess);
    CHECK(cudaEventRecord(before, stream) == cudaSuccess);
    void* p = nullptr;
    const std::function<cudaError_t()> forbidden[] = {
        [&] { return cudaMalloc(&p, 64); },           [&] { return cudaMallocHost(&p, 64); },
        [&] { return cudaDeviceSynchronize(); },      [&] { return cudaStreamSynchronize(stream); },
        [&] { return cudaEventSynchronize(before); }, [&] { return cudaStreamWaitEvent(stream, before); }};
    cudaGraph_t graph = nullptr;
    for (const auto& call : forbidden) {
      REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
      CHECK(call() != cudaSuccess);
      CHECK(cudaStreamEndCapture(stream, &graph) == cudaErrorStreamCaptureInvalidated);
    }
    REQUIRE(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) == cudaSuccess);
    launch(vote_kernel, 1, 32, 0, stream, y.p);
    REQUIRE(cudaStreamEndCapture(stream, &graph) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(y.p[3] == -1);  // captured, not run
    cudaGraphExec_t exec = nullptr;
    REQUIRE(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
    CHECK(cudaGraphDestroy(graph) == cudaSuccess);
    CHECK(cudaGraphLaunch(exec, stream) == cudaSuccess);
    CHECK(cudaStreamSynchronize(stream) == cudaSuccess);
    CHECK(y.p[3] == 0x49249249);
    CHECK(cudaGraphExecDestroy(exec) == cudaSuccess);
    CHECK(cudaEventDestroy(before) == cudaSuccess);
    cudaGetLastError();
  });
}
