// Stand-in for the CUDA runtime: devices, memory, copies, errors. Streams, events and graphs: stream.cpp.
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "kernels/simt/stream.hpp"

namespace ptrain::simt {
namespace {

thread_local cudaError_t last_error = cudaSuccess;
thread_local int current_device = 0;

// Notes an error, as the runtime does, and gives it back.
cudaError_t noted(cudaError_t e) {
  if (e != cudaSuccess) last_error = e;
  return e;
}

struct Heap {
  std::mutex mutex;
  std::map<const char*, size_t> blocks;
  size_t in_use = 0;
};
Heap& heap() {
  static Heap* one = new Heap;  // never destroyed: storages may be released while the program ends
  return *one;
}

// PTRAIN_SIMT_MEMORY, in MiB: how much memory the device has.
size_t memory_size() {
  const char* text = std::getenv("PTRAIN_SIMT_MEMORY");
  const long mebibytes = text ? std::atol(text) : 0;
  return size_t(mebibytes > 0 ? mebibytes : 16384) << 20;
}

}  // namespace

bool on_device(const void* p, size_t bytes) {
  Heap& h = heap();
  const std::lock_guard lock(h.mutex);
  const char* at = static_cast<const char*>(p);
  auto it = h.blocks.upper_bound(at);
  if (it == h.blocks.begin()) return false;
  --it;
  return at + bytes <= it->first + it->second;
}

}  // namespace ptrain::simt

using namespace ptrain::simt;

extern "C" {

cudaError_t cudaGetLastError() {
  const cudaError_t e = last_error;
  last_error = cudaSuccess;
  return e;
}
cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorName(cudaError_t e) {
  switch (e) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidMemcpyDirection: return "cudaErrorInvalidMemcpyDirection";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureInvalidated: return "cudaErrorStreamCaptureInvalidated";
    case cudaErrorStreamCaptureIsolation: return "cudaErrorStreamCaptureIsolation";
  }
  return "an error that the stand-in does not know";
}
const char* cudaGetErrorString(cudaError_t e) { return e == cudaSuccess ? "no error" : "reported by the stand-in of cuda-sim"; }

cudaError_t cudaGetDeviceCount(int* n) {
  *n = kDevices;
  return cudaSuccess;
}
cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= kDevices) return noted(cudaErrorInvalidDevice);
  current_device = device;
  return cudaSuccess;
}
cudaError_t cudaGetDevice(int* device) {
  *device = current_device;
  return cudaSuccess;
}
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int device) {
  if (device < 0 || device >= kDevices) return noted(cudaErrorInvalidDevice);
  *p = {};
  const char* const names[] = {"emulated GPU, threads forward", "emulated GPU, threads in reverse", "emulated GPU, threads at random"};
  std::strncpy(p->name, names[device], sizeof p->name - 1);
  p->totalGlobalMem = memory_size();
  p->sharedMemPerBlock = kStaticShared;
  p->major = 8, p->minor = 0, p->multiProcessorCount = 1;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp p;
  if (const cudaError_t e = cudaGetDeviceProperties(&p, device)) return e;
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = p.multiProcessorCount; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor: *value = p.major; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: *value = p.minor; return cudaSuccess;
  }
  return noted(cudaErrorInvalidValue);
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  Heap& h = heap();
  const std::lock_guard lock(h.mutex);
  *total = memory_size();
  *free = *total - std::min(*total, h.in_use);
  return cudaSuccess;
}

// Fresh memory is full of NaN (as float, half and bfloat16), so that a result which uses it shows.
cudaError_t cudaMalloc(void** p, size_t bytes) {
  if (!p) return noted(cudaErrorInvalidValue);
  if (forbidden_now()) return noted(cudaErrorStreamCaptureUnsupported);
  Heap& h = heap();
  const std::lock_guard lock(h.mutex);
  const size_t rounded = (bytes + 255) / 256 * 256 + (bytes == 0) * 256;
  *p = h.in_use + rounded <= memory_size() ? std::aligned_alloc(256, rounded) : nullptr;
  if (!*p) return noted(cudaErrorMemoryAllocation);
  std::memset(*p, 0xff, rounded);
  h.blocks[static_cast<char*>(*p)] = bytes;
  h.in_use += rounded;
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  if (!p) return cudaSuccess;
  if (const cudaError_t e = cudaDeviceSynchronize()) return e;
  Heap& h = heap();
  const std::lock_guard lock(h.mutex);
  const auto it = h.blocks.find(static_cast<char*>(p));
  if (it == h.blocks.end()) return noted(cudaErrorInvalidValue);
  h.in_use -= (it->second + 255) / 256 * 256 + (it->second == 0) * 256;
  h.blocks.erase(it);
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** p, size_t bytes) {
  if (forbidden_now()) return noted(cudaErrorStreamCaptureUnsupported);
  *p = std::aligned_alloc(256, (bytes + 255) / 256 * 256 + (bytes == 0) * 256);
  return *p ? cudaSuccess : noted(cudaErrorMemoryAllocation);
}
cudaError_t cudaFreeHost(void* p) {
  if (forbidden_now()) return noted(cudaErrorStreamCaptureUnsupported);
  std::free(p);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  const bool to_device = on_device(to, bytes), from_device = on_device(from, bytes);
  const bool want_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
  const bool want_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (to_device != want_to || from_device != want_from) return noted(cudaErrorInvalidMemcpyDirection);
  enqueue(stream, [=] { std::memmove(to, from, bytes); });
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  if (const cudaError_t e = cudaMemcpyAsync(to, from, bytes, kind, nullptr)) return e;
  return cudaDeviceSynchronize();
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t bytes, cudaStream_t stream) {
  if (bytes == 0) return cudaSuccess;
  if (!on_device(p, bytes)) return noted(cudaErrorInvalidValue);
  enqueue(stream, [=] { std::memset(p, value, bytes); });
  return cudaSuccess;
}

}  // extern "C"
