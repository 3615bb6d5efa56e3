// defines: FoldedNorm, what a batch norm in inference does to the convolution before it
#pragma once

#include <cmath>
#include <vector>

#include "kernels/backend.hpp"

namespace ptrain::cpu {

// gamma · (conv + bias − mean)/√(variance + eps) + beta = scale · conv + shift
struct FoldedNorm {
  FoldedNorm(const NormShape& s, Buffer bias, const NormInfer& t) : scale(size_t(s.c)), shift(size_t(s.c)) {
    const auto values = [](Buffer b) { return b ? b.as<const float>() : nullptr; };
    const float *gamma = values(t.gamma), *beta = values(t.beta), *mean = values(t.mean), *variance = values(t.variance),
                *more = values(bias), eps = float(s.eps);
#pragma omp simd
    for (size_t c = 0; c < scale.size(); ++c) {
      scale[c] = (gamma ? gamma[c] : 1.f) / std::sqrt(variance[c] + eps);
      shift[c] = beta[c] + ((more ? more[c] : 0.f) - mean[c]) * scale[c];
    }
  }
  std::vector<float> scale, shift;
};

}  // namespace ptrain::cpu
