// Opening a device, its memory, copies.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>

#include "kernels/cuda/cuda.hpp"

namespace ptrain::cuda {
namespace {

int checked_device(int device) {
  int count = 0;
  GPU_CHECK(cudaGetDeviceCount(&count));
  if (device < 0 || device >= count)
    fail(ErrorKind::device, "cuda:", device, ": this machine has ", count, count == 1 ? " device" : " devices", ", counted from 0");
  GPU_CHECK(cudaSetDevice(device));
  return device;
}

// One decimal below a gibibyte.
std::string mebibytes(int64_t bytes) {
  const double mib = double(bytes) / (1 << 20);
  return concat(int64_t(mib >= 1024 ? std::round(mib) : mib), mib >= 1024 ? "" : concat(".", int64_t(mib * 10) % 10), " MiB");
}

}  // namespace

Options Options::from_environment() {
  const auto text = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
  Options o;
  o.tf32 = text("PTRAIN_TF32") == "1";
  o.autotune = text("PTRAIN_AUTOTUNE");
  o.graphs = text("PTRAIN_GRAPHS") != "0";
  o.debug = std::atoi(text("PTRAIN_DEBUG").c_str());
  return o;
}

Lane::Lane(bool tf32) {
  GPU_CHECK(cublasSetStream(cublas, stream));
  GPU_CHECK(cublasSetMathMode(cublas, tf32 ? CUBLAS_TF32_TENSOR_OP_MATH : CUBLAS_DEFAULT_MATH));
  GPU_CHECK(cudnnSetStream(cudnn, stream));
}

CudaBackend::CudaBackend(int device, Options options)
    : device_(checked_device(device)),
      options_(std::move(options)),
      lane_(options_.tf32),
      properties_(device_from_id(device)) {
  GPU_CHECK(cudaDeviceGetAttribute(&major_, cudaDevAttrComputeCapabilityMajor, device));
  GPU_CHECK(cudaDeviceGetAttribute(&minor_, cudaDevAttrComputeCapabilityMinor, device));
  if (major_ * 10 + minor_ < 75)
    fail(ErrorKind::device, name(), " is of compute capability ", major_, ".", minor_, "; ptrain needs 7.5 or newer");
  cublas_workspace_ = allocate(int64_t(kCublasWorkspace));
  GPU_CHECK(cublasSetWorkspace(lane_.cublas, cublas_workspace_, kCublasWorkspace));
}

CudaBackend::~CudaBackend() {
  use();
  cudaStreamSynchronize(stream());
  uploader_.reset();
  release(cublas_workspace_, int64_t(kCublasWorkspace));
}

std::string CudaBackend::name() const {
#if defined(PTRAIN_SIMT)
  const char* const schedules[] = {"", " (reverse)", " (random)"};
  return std::string("cuda-sim") + schedules[device_];
#else
  return concat("cuda:", device_);
#endif
}

bool CudaBackend::supports(DType t) const {
  if (t == DType::float64) return false;
  return t != DType::bfloat16 || major_ >= 8;
}

void CudaBackend::use() const { GPU_CHECK(cudaSetDevice(device_)); }

std::unique_ptr<Exec> CudaBackend::make_exec(int threads) {
  REQUIRE_THAT(threads > 0, name(), ": ", threads, " threads");
  return std::make_unique<CudaExec>(*this, threads);
}

void* CudaBackend::allocate(int64_t bytes) {
  use();
  void* data = nullptr;
  const cudaError_t e = cudaMalloc(&data, size_t(std::max<int64_t>(bytes, 1)));
  if (e == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // or the next launch reports it again
    const MemoryInfo m = memory_info();
    throw OutOfMemory(concat("out of memory: ", mebibytes(bytes), " are wanted, ", mebibytes(m.free), " of ", mebibytes(m.total),
                             " are free on ", name()));
  }
  GPU_CHECK(e);
  return data;
}

void CudaBackend::release(void* data, int64_t) noexcept {
  if (!data || cudaSetDevice(device_) != cudaSuccess) return;
  if (cudaFree(data) != cudaSuccess) std::fputs("warning: GPU memory was not freed\n", stderr);
}

MemoryInfo CudaBackend::memory_info() const {
  use();
  size_t free = 0, total = 0;
  GPU_CHECK(cudaMemGetInfo(&free, &total));
  return {int64_t(total), int64_t(free)};
}

CudaExec::~CudaExec() {
  for (Block& b : {std::ref(scratch_), std::ref(draws_)}) backend_.release(b.data, b.size);
}

// Releasing waits until the device is idle: what an operation still reads is not taken from it.
void* CudaExec::grown(Block& b, int64_t bytes) {
  if (bytes > b.size) {
    backend_.not_recording(*this, "the scratch of an operation grows");
    backend_.release(std::exchange(b.data, nullptr), std::exchange(b.size, 0));
    b.data = backend_.allocate(bytes);
    b.size = bytes;
  }
  return b.data;
}
void* CudaExec::scratch(int64_t bytes) { return grown(scratch_, bytes); }
void* CudaExec::draws(int64_t bytes) { return grown(draws_, bytes); }

void CudaExec::synchronize() {
  backend_.not_recording(*this, "waiting");
  backend_.use();
  GPU_CHECK(cudaStreamSynchronize(backend_.stream()));
}

Uploader::Uploader(cudaStream_t compute) : compute_(compute) {
  for (Slot& s : slots_) {
    GPU_CHECK(cudaMallocHost(&s.pinned, size_t(kPiece)));
    GPU_CHECK(cudaMalloc(&s.device, size_t(kPiece)));
  }
}

Uploader::~Uploader() {
  cudaStreamSynchronize(copy_);
  cudaStreamSynchronize(compute_);
  for (Slot& s : slots_) {
    cudaFreeHost(s.pinned);
    cudaFree(s.device);
  }
}

void Uploader::upload(const void* host, void* device, int64_t bytes) {
  for (int64_t at = 0; at < bytes; at += kPiece) {
    const size_t n = size_t(std::min(kPiece, bytes - at));
    Slot& s = slots_[next_];
    next_ = 1 - next_;
    GPU_CHECK(cudaEventSynchronize(s.arrived));        // the pinned half is free
    GPU_CHECK(cudaStreamWaitEvent(copy_, s.used, 0));  // the device's half is free, before the copy begins
    std::memcpy(s.pinned, static_cast<const char*>(host) + at, n);
    GPU_CHECK(cudaMemcpyAsync(s.device, s.pinned, n, cudaMemcpyHostToDevice, copy_));
    GPU_CHECK(cudaEventRecord(s.arrived, copy_));
    GPU_CHECK(cudaStreamWaitEvent(compute_, s.arrived, 0));
    GPU_CHECK(cudaMemcpyAsync(static_cast<char*>(device) + at, s.device, n, cudaMemcpyDeviceToDevice, compute_));
    GPU_CHECK(cudaEventRecord(s.used, compute_));
  }
}

void CudaBackend::do_upload(Exec& e, const void* host, Buffer to) {
  not_recording(e, "an upload");
  run(e, "upload", {}, [&](cudaStream_t) { upload_bytes(host, to.data, to.bytes()); });
}

void CudaBackend::upload_bytes(const void* host, void* device, int64_t bytes) {
  const std::lock_guard lock(uploading_);
  if (!uploader_) uploader_ = std::make_unique<Uploader>(stream());
  uploader_->upload(host, device, bytes);
}

void CudaBackend::do_download(Exec& e, Buffer from, void* host) {
  not_recording(e, "a download");
  run(e, "download", {}, [&](cudaStream_t stream) {
    GPU_CHECK(cudaMemcpyAsync(host, from.data, size_t(from.bytes()), cudaMemcpyDeviceToHost, stream));
    GPU_CHECK(cudaStreamSynchronize(stream));
  });
}

void CudaBackend::do_copy(Exec& e, Buffer from, Buffer to) {
  run(e, "copy", {to},
      [&](cudaStream_t stream) { GPU_CHECK(cudaMemcpyAsync(to.data, from.data, size_t(to.bytes()), cudaMemcpyDeviceToDevice, stream)); });
}

void CudaBackend::explain(const Exec& e, const char* op, const Error& error) const {
  const std::string where = concat("in ", op, e.label.empty() ? "" : " of ", e.label, ": ");
  if (const auto* full = dynamic_cast<const OutOfMemory*>(&error)) throw OutOfMemory(where + full->facts());
  fail(error.kind(), "in ", op, e.label.empty() ? "" : " of ", e.label, " on ", name(), ": ", error.what());
}

}  // namespace ptrain::cuda
