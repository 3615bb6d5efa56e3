// Random numbers: each belongs to the place of its element (kernels/philox.hpp), so neither threads nor batches matter.
#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {

// y[row,i] = x[row,i] / (1 − rate) when unit(seed, layer, epoch, samples[row], i) ≥ rate, else 0. The factor is a float32, as in Keras.
void ReferenceBackend::do_dropout(Exec& e, const DropoutShape& s, Buffer x, Buffer samples, Buffer epoch_at, Into y) {
  const auto factor = float(1 / (1 - double(s.rate)));
  const auto epoch = uint32_t(*epoch_at.as<const int32_t>());
  visit_floating(x.dtype, [&]<class T>(T) {
    for_each(e, s.rows * s.c, [&](int64_t i) {
      const auto sample = uint32_t(samples.as<const int32_t>()[i / s.c]);
      const bool survives = random_unit(s.seed, Purpose::dropout, s.layer, epoch, sample, uint32_t(i % s.c)) >= s.rate;
      put(y.buffer.as<T>(), i, survives ? double(x.as<const T>()[i]) * double(factor) : 0, y.how);
    });
  });
}

// y[i] = low + (high − low) · unit(seed, layer, i)
void ReferenceBackend::do_random_uniform(Exec& e, uint64_t seed, uint32_t layer, double low, double high, Buffer y) {
  visit_floating(y.dtype, [&]<class T>(T) {
    for_each(e, y.size, [&](int64_t i) {
      y.as<T>()[i] = narrow<T>(low + (high - low) * double(random_unit(seed, Purpose::initial_weights, layer, 0, 0, uint32_t(i))));
    });
  });
}

}  // namespace ptrain::reference
