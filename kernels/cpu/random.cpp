// Random numbers: dropout and initial weights. Each element's number follows from its counter alone (kernels/philox.hpp).
#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {
namespace {

// Calls body(i, u) for the elements [begin, end) of one stream of random numbers; one Philox block gives four of them.
template <class Body>
void for_units(uint64_t seed, Purpose purpose, uint32_t layer, uint32_t epoch, uint32_t sample, int64_t begin, int64_t end, Body&& body) {
  for (int64_t block = begin / 4; block * 4 < end; ++block) {
    const Philox4 r = philox(seed, {{uint32_t(purpose) << 24 | (layer & 0xffffffu), epoch, sample, uint32_t(block)}});
    for (int64_t i = std::max(begin, block * 4); i < std::min(end, block * 4 + 4); ++i) body(i, unit_float(r.v[i % 4]));
  }
}

}  // namespace

void CpuBackend::do_dropout(Exec& e, const DropoutShape& s, Buffer x, Buffer samples, Buffer epoch_at, Into y) {
  const auto factor = float(1 / (1 - double(s.rate)));  // as in Keras
  const auto epoch = uint32_t(*epoch_at.as<const int32_t>());
  with_type(x.dtype, [&]<class T>(T) {
    with_flag(y.how == Accumulate::yes, [&]<class Add>(Add) {
      parallel(e, s.rows, s.c, [&](Part part) {
        for (int64_t row = part.begin; row < part.end; ++row) {
          const T* from = x.as<const T>() + row * s.c;
          T* to = y.buffer.as<T>() + row * s.c;
          const auto sample = uint32_t(samples.as<const int32_t>()[row]);
          for_units(s.seed, Purpose::dropout, s.layer, epoch, sample, 0, s.c,
                    [&](int64_t c, float u) { put<Add::value>(to[c], u < s.rate ? 0.f : float(from[c]) * factor); });
        }
      });
    });
  });
}

void CpuBackend::do_random_uniform(Exec& e, uint64_t seed, uint32_t layer, double low, double high, Buffer y) {
  with_type(y.dtype, [&]<class T>(T) {
    parallel(e, y.size, 8, [&, to = y.as<T>()](Part part) {
      for_units(seed, Purpose::initial_weights, layer, 0, 0, part.begin, part.end,
                [&](int64_t i, float u) { to[i] = T(float(low + (high - low) * double(u))); });
    });
  });
}

}  // namespace ptrain::cpu
