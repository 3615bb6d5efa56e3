// One value at a time: activations, sums, casts, copies. All are bound by memory: each reads and writes every value once.
#include <cstring>
#include <limits>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/vec.hpp"

namespace ptrain::cpu {
namespace {

void copy_bytes(Exec& e, const void* from, void* to, int64_t bytes) {
  constexpr int64_t kLine = 64;
  parallel(e, (bytes + kLine - 1) / kLine, kLine / int64_t(sizeof(float)), [&](Part part) {
    const int64_t begin = part.begin * kLine, end = std::min(part.end * kLine, bytes);
    std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin, size_t(end - begin));
  });
}

// Calls f with a value of any type that this device stores.
template <class F>
void with_stored_type(DType t, F&& f) {
  if (t == DType::uint8) return f(uint8_t{});
  if (t == DType::int32) return f(int32_t{});
  with_type(t, f);
}

// From one type to another. To integers: towards zero, cut to the range of the type; a NaN becomes 0. Double holds every int32.
template <class To, class From>
To converted(From v) {
  if constexpr (std::is_same_v<To, From>) {
    return v;
  } else if constexpr (std::is_integral_v<To>) {
    const double d = double(v), low = double(std::numeric_limits<To>::min()), high = double(std::numeric_limits<To>::max());
    return d != d ? To(0) : To(d < low ? low : d > high ? high : d);
  } else {
    return To(float(v));
  }
}

}  // namespace

void CpuBackend::do_upload(Exec& e, const void* host, Buffer to) { copy_bytes(e, host, to.data, to.bytes()); }
void CpuBackend::do_download(Exec& e, Buffer from, void* host) { copy_bytes(e, from.data, host, from.bytes()); }
void CpuBackend::do_copy(Exec& e, Buffer from, Buffer to) {
  if (from.data != to.data) copy_bytes(e, from.data, to.data, to.bytes());
}

void CpuBackend::do_act_forward(Exec& e, Act act, Buffer x, Buffer y) {
  with_type(x.dtype, [&]<class T>(T) {
    with_act(act, [&]<class A>(A) {
      parallel(e, x.size, 1, [from = x.as<const T>(), to = y.as<T>()](Part part) {
        over_lanes(part.begin, part.end, [&](int64_t i, auto lanes) { store(to + i, activate<A>(load(from + i, lanes)), lanes); });
      });
    });
  });
}

void CpuBackend::do_act_backward(Exec& e, Act act, Buffer y, Buffer dy, Into dx) {
  with_type(y.dtype, [&]<class T>(T) {
    with_act(act, [&]<class A>(A) {
      with_flag(dx.how == Accumulate::yes, [&]<class Add>(Add) {
        parallel(e, y.size, 1, [out = y.as<const T>(), from = dy.as<const T>(), to = dx.buffer.as<T>()](Part part) {
#pragma omp simd
          for (int64_t i = part.begin; i < part.end; ++i) {
            const float d = float(from[i]);  // read in any case: a load behind a condition is not vectorised
            put<Add::value>(to[i], A::passes(float(out[i])) ? d : 0.f);
          }
        });
      });
    });
  });
}

void CpuBackend::do_add_act(Exec& e, Act act, Buffer a, Buffer b, Buffer y) {
  with_type(a.dtype, [&]<class T>(T) {
    with_act(act, [&]<class A>(A) {
      parallel(e, a.size, 1, [u = a.as<const T>(), v = b.as<const T>(), to = y.as<T>()](Part part) {
        over_lanes(part.begin, part.end,
                   [&](int64_t i, auto lanes) { store(to + i, activate<A>(load(u + i, lanes) + load(v + i, lanes)), lanes); });
      });
    });
  });
}

void CpuBackend::do_add_scaled(Exec& e, double factor, Buffer x, Buffer y) {
  with_type(x.dtype, [&]<class X>(X) {
    with_type(y.dtype, [&]<class Y>(Y) {
      parallel(e, x.size, 1, [f = float(factor), from = x.as<const X>(), to = y.as<Y>()](Part part) {
#pragma omp simd
        for (int64_t i = part.begin; i < part.end; ++i) to[i] = Y(float(to[i]) + f * float(from[i]));
      });
    });
  });
}

void CpuBackend::do_cast(Exec& e, Buffer x, Buffer y) {
  with_stored_type(x.dtype, [&]<class X>(X) {
    with_stored_type(y.dtype, [&]<class Y>(Y) {
      parallel(e, x.size, 1, [from = x.as<const X>(), to = y.as<Y>()](Part part) {
#pragma omp simd
        for (int64_t i = part.begin; i < part.end; ++i) to[i] = converted<Y>(from[i]);
      });
    });
  });
}

void CpuBackend::do_fill(Exec& e, double value, Buffer y) {
  with_stored_type(y.dtype, [&]<class T>(T) {
    const T v = converted<T>(value);
    parallel(e, y.size, 1, [v, to = y.as<T>()](Part part) { std::fill(to + part.begin, to + part.end, v); });
  });
}

}  // namespace ptrain::cpu
