// The dynamic loss scale of half precision, with Keras' rule.
#include <cmath>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {

void ReferenceBackend::do_all_finite(Exec&, Buffer x, Buffer finite) {
  bool all = true;
  visit_floating(x.dtype, [&]<class T>(T) {
    for (int64_t i = 0; i < x.size; ++i) all &= std::isfinite(double(x.as<const T>()[i]));
  });
  *finite.as<int32_t>() = all;
}

// dw /= scale
void ReferenceBackend::do_unscale(Exec& e, std::span<const OptimizerSlot> slots, Buffer scale, Buffer finite) {
  const double divisor = double(*scale.as<const float>());
  int32_t all = 1;
  for (const OptimizerSlot& slot : slots) {
    visit_floating(slot.dw.dtype, [&]<class T>(T) {
      for_each(e, slot.dw.size, [&](int64_t i) { slot.dw.as<T>()[i] = narrow<T>(double(slot.dw.as<T>()[i]) / divisor); });
    });
    do_all_finite(e, slot.dw, finite);
    all &= *finite.as<const int32_t>();
  }
  *finite.as<int32_t>() = all;
}

// finite: one more in the row, and scale ×2 with a new count when the row is complete. Not finite: scale ×0.5 and a new count.
void ReferenceBackend::do_update_loss_scale(Exec&, const LossScaleState& s, Buffer finite) {
  constexpr float kLeast = 0x1p-126f, kMost = 0x1p127f;
  float& scale = *s.scale.as<float>();
  int32_t& counter = *s.counter.as<int32_t>();
  const bool grows = *finite.as<const int32_t>() != 0;
  if (grows && ++counter < s.growth_steps) return;
  counter = 0;
  scale = std::clamp(grows ? scale * 2 : scale / 2, kLeast, kMost);
}

}  // namespace ptrain::reference
