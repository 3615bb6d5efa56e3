// defines: what every operation of the reference backend is made of: parallel loops, rounding, activations
#pragma once

#include <algorithm>
#include <type_traits>

#include "kernels/backend.hpp"

namespace ptrain::reference {

// f(i) for i in [0, n), one task after the other to whichever thread is free. A task writes outputs of its own and adds its terms in
// a fixed order, so the result is the same for any number of threads. f must not throw.
template <class F>
void parallel_for(const Exec& e, int64_t n, F&& f) {
#pragma omp parallel for num_threads(e.threads()) schedule(dynamic) if (n > 1)
  for (int64_t i = 0; i < n; ++i) f(i);
}

// The same for single elements, where a task is too small to be handed out alone.
template <class F>
void for_each(const Exec& e, int64_t n, F&& f) {
#pragma omp parallel for num_threads(e.threads()) schedule(static) if (n > 10000)
  for (int64_t i = 0; i < n; ++i) f(i);
}

// Calls f(first, last) for blocks of channels: sums over rows are independent for each channel, and a block reads whole cache lines.
constexpr int64_t kChannelBlock = 16;
template <class F>
void for_channel_blocks(const Exec& e, int64_t c, F&& f) {
  parallel_for(e, (c + kChannelBlock - 1) / kChannelBlock,
               [&](int64_t block) { f(block * kChannelBlock, std::min(c, (block + 1) * kChannelBlock)); });
}

// The type of biases, statistics, losses and state beside values of type T (kernels/check.hpp), and the one T is computed from.
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Rounds a result to its storage type; the two half types are rounded to float on the way.
template <class T>
T narrow(double v) {
  return T(Wide<T>(v));
}

// Overwrites to[i] by v, or adds v to it.
template <class T>
void put(T* to, int64_t i, double v, Accumulate how) {
  to[i] = narrow<T>(how == Accumulate::yes ? double(to[i]) + v : v);
}

// The values of a buffer as Wide<T>, which inner loops read fastest: the buffer itself, or a copy in the scratch memory of `e`.
template <class T>
const Wide<T>* widened(Exec& e, const T* from, int64_t n) {
  if constexpr (std::is_same_v<T, Wide<T>>) {
    return from;
  } else {
    auto* to = static_cast<Wide<T>*>(e.scratch(n * int64_t(sizeof(Wide<T>))));
    for_each(e, n, [&](int64_t i) { to[i] = Wide<T>(from[i]); });
    return to;
  }
}

// relu: max(v, 0); relu6: min(max(v, 0), 6). A NaN stays a NaN.
inline double activated(Act act, double v) {
  if (act == Act::none) return v;
  if (v < 0) return 0;
  return act == Act::relu6 && v > 6 ? 6 : v;
}

// The gradient before an activation whose output is y: dy where the slope is 1, nothing on the flat parts and at their ends.
inline double before(Act act, double y, double dy) {
  if (act == Act::none) return dy;
  return y > 0 && (act == Act::relu || y < 6) ? dy : 0;
}

}  // namespace ptrain::reference
