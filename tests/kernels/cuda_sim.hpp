// defines: in_each_schedule(), and Duel: one kernel of kernels/cuda in the emulator against the reference backend on the same numbers
#pragma once

#include <cuda_runtime.h>

#include "kernels/cuda/kernels.hpp"
#include "kernels/simt/stream.hpp"
#include "tests/kernels/backends.hpp"

namespace ptrain::test {

constexpr DType kDeviceTypes[] = {DType::float32, DType::float16, DType::bfloat16};

// Gives kernels their stream, and scratch memory that is full of NaN each time.
class SimExec final : public Exec {
 public:
  SimExec() : Exec(1) { cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking); }
  ~SimExec() override {
    cudaStreamSynchronize(stream);
    cudaStreamDestroy(stream);
    cudaFree(scratch_);
  }
  void* scratch(int64_t bytes) override {
    cudaStreamSynchronize(stream);
    cudaFree(scratch_);
    cudaMalloc(&scratch_, size_t(bytes));
    cudaMemsetAsync(scratch_, 0xff, size_t(bytes), stream);
    return scratch_;
  }
  void synchronize() override { cudaStreamSynchronize(stream); }

  cudaStream_t stream = nullptr;

 private:
  void* scratch_ = nullptr;
};

// The same numbers twice: where the reference works on them, and where the kernel does, between sentinels.
struct Both {
  Buffer here, there, whole;
  std::vector<double> values;
  std::vector<char> host, bytes;  // the memory of `here`; of an input: all of `whole`, which nobody may change
};
struct IntoBoth {
  Into here, there;
};

// One comparison. Outputs are filled with NaN (integers: −1) beforehand; at the end all sentinels must be there and no input may have
// changed. With `shift` the device's buffers lie one element beside 16-byte boundaries, so that nothing may be moved 16 bytes at once.
class Duel {
 public:
  Duel(DType t, bool shift) : dtype(t), shift_(shift), ref(*reference()), ref_exec(ref.make_exec(1)) {}
  ~Duel() {
    for (const Both& b : arrays_) {
      check_guards(b);
      cudaFree(b.whole.data);
    }
  }
  Duel(const Duel&) = delete;
  Duel& operator=(const Duel&) = delete;

  const Both& input(const std::vector<double>& values, DType t) {
    Both& b = add(rounded(values, t), t);
    b.bytes = download(b);
    return b;
  }
  const Both& input(const std::vector<double>& values) { return input(values, dtype); }
  const Both& state(const std::vector<double>& values, DType t) { return add(rounded(values, t), t); }
  const Both& output(int64_t n, DType t) {
    return add(std::vector<double>(size_t(n), is_floating(t) ? std::numeric_limits<double>::quiet_NaN() : t == DType::uint8 ? 255 : -1), t);
  }
  const Both& output(int64_t n) { return output(n, dtype); }

  // What the kernel left must be what the reference left.
  void same(const char* what, const Both& b, Tolerance t) {
    const std::string text = difference(values_of(download(b).data() + guard_of(b), b), values_of(b.host.data(), b), t.atol, t.rtol);
    CHECK_MESSAGE(text.empty(), std::string(what), ": ", text);
  }
  void same(const char* what, const Both& b, int64_t terms = 1, double size = 1) { same(what, b, both_rounded(terms, size, b.here.dtype)); }
  // Runs op(IntoBoth) twice: to overwrite NaN, and to add to numbers that are there.
  template <class F>
  void same_into(const char* what, int64_t n, DType t, Tolerance close, F&& op) {
    for (const Accumulate how : {Accumulate::no, Accumulate::yes}) {
      const Both& b = how == Accumulate::no ? output(n, t) : state(numbers(99, n), t);
      op(IntoBoth{{b.here, how}, {b.there, how}});
      same(how == Accumulate::no ? what : (std::string(what) + ", accumulated").c_str(), b, close);
    }
  }
  template <class F>
  void same_into(const char* what, int64_t n, DType t, int64_t terms, double size, F&& op) {
    same_into(what, n, t, both_rounded(terms + 1, size, t), op);
  }

  // Both sides round to the type, so that a difference behind its last digit can become a whole one.
  Tolerance both_rounded(int64_t terms, double size, DType t) const {
    const Tolerance one = tolerance(Target{nullptr, dtype, false}, terms, size, t);
    return {one.atol, 2 * one.rtol};
  }

  std::vector<double> read(const Both& b) { return values_of(download(b).data() + guard_of(b), b); }

  DType dtype;
  SimExec exec;
  cudaStream_t stream = exec.stream;

 private:
  static constexpr int64_t kGuard = 256;
  static constexpr char kSentinel = char(0xA5);
  bool shift_;

 public:
  Backend& ref;
  std::unique_ptr<Exec> ref_exec;

 private:
  static const std::shared_ptr<Backend>& reference() {
    static const std::shared_ptr<Backend> backend = make_reference_backend();
    return backend;
  }
  int64_t guard_of(const Both& b) const { return kGuard + (shift_ ? size_of(b.here.dtype) : 0); }

  Both& add(std::vector<double> values, DType t) {
    Both& b = arrays_.emplace_back();
    const auto size = int64_t(values.size()), bytes = size * size_of(t);
    b.host.resize(size_t(std::max<int64_t>(bytes, 1)));
    visit(t, [&]<class T>(T) {
      for (size_t i = 0; i < values.size(); ++i) {
        T value;
        if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) value = T(float(values[i]));
        else value = T(values[i]);
        std::memcpy(b.host.data() + i * sizeof(T), &value, sizeof(T));
      }
    });
    b.here = {b.host.data(), t, size};
    b.whole = {nullptr, DType::uint8, 2 * kGuard + bytes + 16};
    cudaMalloc(&b.whole.data, size_t(b.whole.size));
    b.there = {static_cast<char*>(b.whole.data) + guard_of(b), t, size};
    std::vector<char> all(size_t(b.whole.size), kSentinel);
    std::memcpy(all.data() + guard_of(b), b.host.data(), size_t(bytes));
    cudaMemcpyAsync(b.whole.data, all.data(), all.size(), cudaMemcpyHostToDevice, exec.stream);
    cudaStreamSynchronize(exec.stream);
    b.values = std::move(values);
    return b;
  }

  std::vector<char> download(const Both& b) {
    std::vector<char> bytes(size_t(b.whole.size));
    cudaMemcpyAsync(bytes.data(), b.whole.data, bytes.size(), cudaMemcpyDeviceToHost, exec.stream);
    cudaStreamSynchronize(exec.stream);
    return bytes;
  }
  static std::vector<double> values_of(const char* bytes, const Both& b) {
    std::vector<double> v(size_t(b.here.size));
    visit(b.here.dtype, [&]<class T>(T) {
      for (size_t i = 0; i < v.size(); ++i) {
        T value;
        std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
        v[i] = double(value);
      }
    });
    return v;
  }

  void check_guards(const Both& b) {
    const std::vector<char> bytes = download(b);
    if (!b.bytes.empty()) CHECK_MESSAGE(bytes == b.bytes, "an input of ", b.here.size, " elements, or what lies beside it, has changed");
    const auto intact = [&](int64_t from, int64_t to) {
      return std::all_of(bytes.begin() + from, bytes.begin() + to, [](char c) { return c == kSentinel; });
    };
    CHECK_MESSAGE(intact(0, guard_of(b)), "written before the begin of a buffer of ", b.here.size, " elements");
    CHECK_MESSAGE(intact(guard_of(b) + b.here.bytes(), b.whole.size), "written behind the end of a buffer of ", b.here.size, " elements");
  }

  std::list<Both> arrays_;
};

// Runs body(type, shift) in the three schedules of the emulator: threads forward, in reverse, at random. The second run has no 16-byte
// boundaries.
template <class F>
void in_each_schedule(F&& body) {
  for (int device = 0; device < simt::kDevices; ++device) {
    INFO("schedule ", device);
    cudaSetDevice(device);
    for (const DType t : kDeviceTypes) {
      const std::string type = str(t);
      INFO("in ", type);
      body(t, device == 1);
    }
  }
  cudaSetDevice(0);
}

}  // namespace ptrain::test
