// defines: finish_norm(): from mean and variance of the batch to what norm_train_forward() leaves, as every step of the ladder does it
#pragma once

#include "kernels/cuda/norm.cuh"
#include "kernels/ladder/ladder.hpp"

namespace ptrain::cuda::ladder {

// Channel c: mean, 1/√(variance + eps), and the moving statistics. The variance is the biased one.
struct NormFinish {
  float eps, momentum, one_minus_momentum;
  float *moving_mean, *moving_variance, *mean, *inv_std;

  NormFinish(const NormShape& s, const NormTrain& t)
      : eps(float(s.eps)),
        momentum(float(t.momentum)),
        one_minus_momentum(float(1 - t.momentum)),
        moving_mean(t.moving_mean.as<float>()),
        moving_variance(t.moving_variance.as<float>()),
        mean(t.mean.as<float>()),
        inv_std(t.inv_std.as<float>()) {}

  __device__ void operator()(int64_t c, float m, float variance) const {
    mean[c] = m;
    inv_std[c] = 1.f / sqrtf(variance + eps);
    moving_mean[c] = fmaf(moving_mean[c], momentum, m * one_minus_momentum);
    moving_variance[c] = fmaf(moving_variance[c], momentum, variance * one_minus_momentum);
  }
};

// y from the finished statistics: the same kernel for all steps.
inline void apply_norm(const NormShape& s, const NormTrain& t, cudaStream_t stream) {
  norm_apply(s, t.x, t.gamma, t.beta, t.mean, t.inv_std, {}, t.y, stream);
}

}  // namespace ptrain::cuda::ladder
