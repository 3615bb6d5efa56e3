// defines: what the loops of the cpu backend share: types, activations, and how work is split over threads
#pragma once

#include <algorithm>
#include <exception>
#include <type_traits>

#include "kernels/backend.hpp"

namespace ptrain::cpu {

// Calls f with a value of the type that t names; only float32 and bfloat16 are computed with.
template <class F>
decltype(auto) with_type(DType t, F&& f) {
  if (t == DType::float32) return f(float{});
  if (t == DType::bfloat16) return f(BFloat16{});
  fail(ErrorKind::usage, "the cpu device does not compute in ", str(t), ": use float32, or bfloat16 as its mixed precision");
}

// Calls f with std::true_type or std::false_type, so that loops are compiled for both.
template <class F>
decltype(auto) with_flag(bool flag, F&& f) {
  return flag ? f(std::true_type{}) : f(std::false_type{});
}

// Activations (their values: vec.hpp), and whether the gradient passes where the output is y, a float or a Vec.
struct Linear {
  static bool passes(float) { return true; }
};
struct Relu {
  template <class V>
  static auto passes(V y) {
    return y > 0;
  }
};
struct Relu6 {
  template <class V>
  static auto passes(V y) {
    return (y > 0) & (y < 6);
  }
};

template <class F>
decltype(auto) with_act(Act act, F&& f) {
  switch (act) {
    case Act::none: return f(Linear{});
    case Act::relu: return f(Relu{});
    case Act::relu6: return f(Relu6{});
  }
  fail(ErrorKind::failed, "no such activation: ", int(act));
}

// to = v, or to += v.
template <bool kAdd, class T>
void put(T& to, float v) {
  if constexpr (kAdd) to = T(float(to) + v);
  else to = T(v);
}

// A contiguous share of the items of a loop: what one thread does.
struct Part {
  int index;
  int64_t begin, end;
};

// Into how many parts a loop is split. It depends on the sizes and on exec.threads() alone, as every result may.
inline int part_count(const Exec& exec, int64_t items, int64_t values_per_item) {
  constexpr int64_t kWorth = 1 << 14;  // values: a smaller part takes less time than waking a thread for it
  return int(std::max<int64_t>(1, std::min({int64_t(exec.threads()), items, items * values_per_item / kWorth})));
}

template <class Body>
void parallel(int parts, int64_t items, Body&& body) {
  if (parts <= 1) return body(Part{0, 0, items});
  std::exception_ptr error;  // OpenMP lets none out of the region
#pragma omp parallel for num_threads(parts) schedule(static, 1)
  for (int i = 0; i < parts; ++i) {
    try {
      body(Part{i, items * i / parts, items * (i + 1) / parts});
    } catch (...) {
#pragma omp critical
      error = std::current_exception();
    }
  }
  if (error) std::rethrow_exception(error);
}

// The usual case: any split will do, no thread needs to know its number.
template <class Body>
void parallel(const Exec& exec, int64_t items, int64_t values_per_item, Body&& body) {
  parallel(part_count(exec, items, values_per_item), items, body);
}

// Asks for memory that is needed soon: for loops with too many streams for the processor to foresee. Rows behind the end are left out.
inline void prefetch_row(const void* base, int64_t row, int64_t rows, int64_t bytes) {
  if (row >= rows) return;
  const char* at = static_cast<const char*>(base) + row * bytes;
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(at + i, 0, 2);
}

}  // namespace ptrain::cpu
