// defines: LossScaling, how float16 training keeps small gradients from becoming zero
#pragma once

#include <cstdint>

namespace ptrain {

// The loss is multiplied by a scale that moves by Keras' rule (LossScaleState in kernels/optimizer.hpp), and the gradients are divided by
// it before they are used. A step whose gradients are not finite is skipped.
struct LossScaling {
  double initial = 32768;
  int32_t growth_steps = 2000;
  int64_t give_up = 20;  // skipped steps in a row after which training is lost
};

}  // namespace ptrain
