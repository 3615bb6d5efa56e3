// defines: backends_under_test(), and Trial: one operation on one of them, with guarded buffers and checked results
#pragma once

#include <cstring>
#include <limits>
#include <list>

#include "kernels/backend.hpp"
#include "kernels/plugin.hpp"
#include "tests/support/support.hpp"

namespace ptrain::test {

// One backend computing in one type.
struct Target {
  std::shared_ptr<Backend> backend;
  DType dtype = DType::float32;
  bool is_reference = false;  // sums in double
  bool is_cuda = false;       // its libraries round to half types between the parts of an operation, and filter gradients before they are widened

  std::string name() const { return backend->name() + " " + str(dtype); }
};

// Every backend of this build, once for each floating type that it computes in. A new backend is one more line.
inline const std::vector<Target>& backends_under_test() {
  static const std::vector<Target> targets = [] {
    std::vector<Target> all;
    const auto add = [&](const std::shared_ptr<Backend>& backend, bool is_reference, bool is_cuda = false) {
      for (const DType t : {DType::float32, DType::float64, DType::float16, DType::bfloat16})
        if (backend->supports(t)) all.push_back({backend, t, is_reference, is_cuda});
    };
    add(make_reference_backend(), true);
    add(make_cpu_backend(), false);
    for (const int schedule : {0, 1, 2}) add(make_cuda_sim_backend(schedule), false, true);
    return all;
  }();
  return targets;
}

// Runs body(target) for each of them; failures name it.
template <class F>
void on_each_backend(F&& body) {
  for (const Target& target : backends_under_test()) {
    const std::string name = target.name();
    INFO("on ", name);
    body(target);
  }
}
// The same for the reference backend alone: for what no other backend promises.
template <class F>
void on_the_reference(F&& body) {
  on_each_backend([&](const Target& target) {
    if (target.is_reference) body(target);
  });
}

// The largest relative error of one rounding to a type.
inline double rounding_of(DType t) {
  switch (t) {
    case DType::float32: return 0x1p-24;
    case DType::float16: return 0x1p-11;
    case DType::bfloat16: return 0x1p-8;
    default: return 0x1p-53;
  }
}

struct Tolerance {
  double atol = 0, rtol = 0;
};

// A sum of `terms` numbers no larger than `size`, rounded to `out`. The sum itself errs by terms·2⁻⁵³ at worst when it is taken in
// double. Taken in float each step errs in proportion to the sum so far, which grows like √terms: about terms/8·2⁻²⁴ in the end (four of
// these, and 8·√terms for short sums). The half types add their own rounding, where a result below the normal numbers of float16 has
// an absolute error, and both are rounded to float on the way.
inline Tolerance tolerance(const Target& target, int64_t terms, double size, DType out) {
  const double sum = target.is_reference ? double(terms + 4) * 0x1p-52 : (8 * std::sqrt(double(terms)) + double(terms) / 2) * 0x1p-24;
  return {sum * size + (out == DType::float16 ? 0x1p-24 : 0), 1.01 * rounding_of(out) + (rounding_of(out) > 0x1p-24 ? 0x1p-24 : 0)};
}

// The same for a product with packed weights, which a device may round once more after it has folded the scale into them.
inline Tolerance packed_tolerance(const Target& target, int64_t terms, double size) {
  Tolerance t = tolerance(target, terms, size, target.dtype);
  if (!target.is_reference && rounding_of(target.dtype) > 0x1p-24)
    t.atol += rounding_of(target.dtype) * std::sqrt(double(terms)) * size / (target.is_cuda ? 1 : 2);
  return t;
}

// n numbers in [low, high) that depend on `key` alone.
inline std::vector<double> numbers(uint32_t key, int64_t n, double low = -1, double high = 1) {
  std::vector<double> v(static_cast<size_t>(n));
  for (size_t i = 0; i < v.size(); ++i) v[i] = low + (high - low) * double(random_unit(7, Purpose::test, key, 0, 0, uint32_t(i)));
  return v;
}

// The values as a type holds them.
inline std::vector<double> rounded(std::vector<double> v, DType t) {
  visit(t, [&]<class T>(T) {
    for (double& x : v) {
      if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) x = double(T(float(x)));
      else x = double(T(x));
    }
  });
  return v;
}

// A buffer on a backend with sentinels right before and right behind it.
struct Guarded {
  Buffer whole, buffer;        // bytes, and the elements between the sentinels
  std::vector<double> values;  // of an input: what was put there, as its type holds it
  std::vector<char> bytes;     // of an input: all of `whole`, which nobody may change
  operator Buffer() const { return buffer; }
};

// One operation on one backend. Outputs are filled with NaN (integers: −1) beforehand. At its end all sentinels must be there and no
// input may have changed.
class Trial {
 public:
  explicit Trial(const Target& target, int threads = 2) : target_(target), exec_(target.backend->make_exec(threads)) {}
  ~Trial() {
    for (const Guarded& g : buffers_) {
      check_guards(g);
      target_.backend->release(g.whole.data, g.whole.size);
    }
  }
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;

  Backend& backend() { return *target_.backend; }
  Exec& exec() { return *exec_; }
  DType dtype() const { return target_.dtype; }
  DType wide() const { return dtype() == DType::float64 ? DType::float64 : DType::float32; }  // of biases, statistics, losses

  // An input, which the operation must not change. References stay good as long as the trial.
  const Guarded& input(const std::vector<double>& values) { return input(values, dtype()); }
  const Guarded& input(const std::vector<double>& values, DType t) {
    Guarded& g = add(rounded(values, t), t);
    g.bytes = download(g);
    return g;
  }
  // A buffer that the operation may read and write.
  const Guarded& state(const std::vector<double>& values, DType t) { return add(rounded(values, t), t); }
  // A result that the operation must write in full.
  const Guarded& output(int64_t n) { return output(n, dtype()); }
  const Guarded& output(int64_t n, DType t) {
    const bool floating = is_floating(t);
    return add(std::vector<double>(size_t(n), floating ? std::numeric_limits<double>::quiet_NaN() : t == DType::uint8 ? 255 : -1), t);
  }

  std::vector<double> read(const Guarded& g) {
    const std::vector<char> bytes = download(g);
    std::vector<double> v(size_t(g.buffer.size));
    visit(g.buffer.dtype, [&]<class T>(T) {
      for (size_t i = 0; i < v.size(); ++i) {
        T value;
        std::memcpy(&value, bytes.data() + kGuard + i * sizeof(T), sizeof(T));
        v[i] = double(value);
      }
    });
    return v;
  }

  void check(const char* what, const Guarded& g, const std::vector<double>& want, Tolerance t) {
    const std::string text = difference(read(g), want, t.atol, t.rtol);
    CHECK_MESSAGE(text.empty(), what, ": ", text);
  }
  // After a sum of `terms` numbers up to `size`.
  void check(const char* what, const Guarded& g, const std::vector<double>& want, int64_t terms = 1, double size = 1) {
    check(what, g, want, tolerance(target_, terms, size, g.buffer.dtype));
  }

  // Runs op(Into) twice: to overwrite NaN, and to add to numbers that are there. `between`: what is written or added has been rounded to that type.
  template <class F>
  void check_into(const char* what, DType t, const std::vector<double>& want, int64_t terms, double size, F&& op, const DType* between = nullptr) {
    const Guarded& fresh = output(int64_t(want.size()), t);
    op(Into{fresh, Accumulate::no});
    check(what, fresh, want, tolerance(target_, terms, size, between ? *between : t));

    const Guarded& sum = state(numbers(99, int64_t(want.size())), t);
    std::vector<double> total = want;
    double largest = 0;
    for (size_t i = 0; i < total.size(); ++i) {
      largest = std::max(largest, std::fabs(want[i]));
      total[i] += sum.values[i];
    }
    op(Into{sum, Accumulate::yes});
    Tolerance tolerance_of_sum = tolerance(target_, terms + 1, size, t);
    if (between) tolerance_of_sum.atol += 1.01 * rounding_of(*between) * largest;
    check((std::string(what) + ", accumulated").c_str(), sum, total, tolerance_of_sum);
  }

 private:
  static constexpr int64_t kGuard = 256;  // bytes on either side: four of the widest vectors
  static constexpr char kSentinel = char(0xA5);

  Guarded& add(std::vector<double> values, DType t) {
    Guarded& g = buffers_.emplace_back();
    const int64_t size = int64_t(values.size()), bytes = size * size_of(t);
    g.whole = {target_.backend->allocate(2 * kGuard + bytes), DType::uint8, 2 * kGuard + bytes};
    g.buffer = {static_cast<char*>(g.whole.data) + kGuard, t, size};
    std::vector<char> host(size_t(g.whole.size), kSentinel);
    visit(t, [&]<class T>(T) {
      for (size_t i = 0; i < values.size(); ++i) {
        T value;
        if constexpr (std::is_same_v<T, Float16> || std::is_same_v<T, BFloat16>) value = T(float(values[i]));
        else value = T(values[i]);
        std::memcpy(host.data() + kGuard + i * sizeof(T), &value, sizeof(T));
      }
    });
    backend().upload(exec(), host.data(), g.whole);
    exec().synchronize();
    g.values = std::move(values);
    return g;
  }

  std::vector<char> download(const Guarded& g) {
    std::vector<char> bytes(size_t(g.whole.size));
    backend().download(exec(), g.whole, bytes.data());
    return bytes;
  }

  void check_guards(const Guarded& g) {
    const std::vector<char> bytes = download(g);
    if (!g.bytes.empty()) CHECK_MESSAGE(bytes == g.bytes, "an input of ", g.buffer.size, " elements, or what lies beside it, has changed");
    const auto intact = [&](size_t from) {
      return std::all_of(bytes.begin() + long(from), bytes.begin() + long(from + kGuard), [](char c) { return c == kSentinel; });
    };
    CHECK_MESSAGE(intact(0), "written before the begin of a buffer of ", g.buffer.size, " elements");
    CHECK_MESSAGE(intact(bytes.size() - size_t(kGuard)), "written behind the end of a buffer of ", g.buffer.size, " elements");
  }

  const Target& target_;
  std::unique_ptr<Exec> exec_;
  std::list<Guarded> buffers_;
};

}  // namespace ptrain::test
