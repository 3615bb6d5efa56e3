// defines: initialize(), the values that Keras' layers start with
#pragma once

#include "layers/params.hpp"

namespace ptrain {

// Kernels: glorot uniform, ±√(6 / (fan_in + fan_out)) with fan = window · channels; bias, beta, moving_mean 0; gamma, moving_variance 1.
// Random numbers by seed and by the parameter's place in the list, so that a head does not depend on how the base was filled.
// Only layers for which `wanted(layer)` holds.
void initialize(Params& params, uint64_t seed, const std::function<bool(const std::string& layer)>& wanted);

}  // namespace ptrain
