// Batch normalisation over the rows of each channel (Ioffe and Szegedy 2015), with an optional activation after it.
//   x̂ = (x − mean) · inv_std      y = act(gamma · x̂ + beta)      inv_std = 1/√(variance + eps)
// Training takes mean and (biased) variance from the batch, so x reaches y through them as well; with dz = dy · act′(y):
//   dbeta = Σ dz      dgamma = Σ dz · x̂
//   dx = gamma · inv_std · (dz − dbeta/rows − x̂ · dgamma/rows)      training
//   dx = gamma · inv_std · dz                                       inference: the statistics are constants
#include <cmath>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

using Sums = double[kChannelBlock];  // one number for each channel of a block

template <class P>
double gamma_of(Buffer gamma, int64_t c) {
  return gamma ? double(gamma.as<const P>()[c]) : 1;
}

// Both backward passes: they differ in where inv_std and the activation's slope come from, and in the terms that the batch statistics
// add to dx.
template <class T, bool training>
void backward(Exec& e, const NormShape& s, const NormBackward& t) {
  using P = Wide<T>;
  const T *x = t.x ? t.x.as<const T>() : nullptr, *y = t.y ? t.y.as<const T>() : nullptr, *dy = t.dy.as<const T>();
  for_channel_blocks(e, s.c, [&](int64_t first, int64_t last) {
    Sums mean, inv_std, gamma, beta = {}, dbeta = {}, dgamma = {};
    for (int64_t c = first; c < last; ++c) {
      mean[c - first] = double(t.mean.as<const P>()[c]);
      gamma[c - first] = gamma_of<P>(t.gamma, c);
      if (t.beta) beta[c - first] = double(t.beta.as<const P>()[c]);
      if constexpr (training) inv_std[c - first] = double(t.inv_std.as<const P>()[c]);
      else inv_std[c - first] = 1 / std::sqrt(double(t.variance.as<const P>()[c]) + s.eps);
    }
    const auto x_hat = [&](int64_t i, int64_t j) { return (double(x[i]) - mean[j]) * inv_std[j]; };
    const auto dz = [&](int64_t i, int64_t j) {
      if (s.act == Act::none) return double(dy[i]);
      return before(s.act, training ? activated(s.act, gamma[j] * x_hat(i, j) + beta[j]) : double(y[i]), double(dy[i]));
    };
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t c = first; c < last; ++c) {
        const int64_t i = row * s.c + c, j = c - first;
        dbeta[j] += dz(i, j);
        if (training || t.dgamma) dgamma[j] += dz(i, j) * x_hat(i, j);
      }
    for (int64_t c = first; c < last; ++c) {
      if (t.dbeta) put(t.dbeta.buffer.as<P>(), c, dbeta[c - first], t.dbeta.how);
      if (t.dgamma) put(t.dgamma.buffer.as<P>(), c, dgamma[c - first], t.dgamma.how);
    }
    if (!t.dx) return;
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t c = first; c < last; ++c) {
        const int64_t i = row * s.c + c, j = c - first;
        const double through_statistics = training ? (dbeta[j] + x_hat(i, j) * dgamma[j]) / double(s.rows) : 0;
        put(t.dx.buffer.as<T>(), i, gamma[j] * inv_std[j] * (dz(i, j) - through_statistics), t.dx.how);
      }
  });
}

}  // namespace

void ReferenceBackend::do_norm_train_forward(Exec& e, const NormShape& s, const NormTrain& t) {
  visit_floating(t.x.dtype, [&]<class T>(T) {
    using P = Wide<T>;
    const T* x = t.x.as<const T>();
    for_channel_blocks(e, s.c, [&](int64_t first, int64_t last) {
      Sums mean, sum = {}, squares = {};
      for (int64_t row = 0; row < s.rows; ++row)
        for (int64_t c = first; c < last; ++c) sum[c - first] += double(x[row * s.c + c]);
      for (int64_t c = first; c < last; ++c) mean[c - first] = sum[c - first] / double(s.rows);
      for (int64_t row = 0; row < s.rows; ++row)
        for (int64_t c = first; c < last; ++c) {
          const double d = double(x[row * s.c + c]) - mean[c - first];
          squares[c - first] += d * d;
        }
      for (int64_t c = first; c < last; ++c) {
        const double m = t.momentum, center = mean[c - first], variance = squares[c - first] / double(s.rows);
        const double inv_std = 1 / std::sqrt(variance + s.eps);
        const double scale = gamma_of<P>(t.gamma, c) * inv_std, beta = double(t.beta.as<const P>()[c]);
        for (int64_t row = 0; row < s.rows; ++row) {
          const int64_t i = row * s.c + c;
          t.y.as<T>()[i] = narrow<T>(activated(s.act, (double(x[i]) - center) * scale + beta));
        }
        P &moving_mean = t.moving_mean.as<P>()[c], &moving_variance = t.moving_variance.as<P>()[c];
        moving_mean = P(double(moving_mean) * m + center * (1 - m));
        moving_variance = P(double(moving_variance) * m + variance * (1 - m));
        t.mean.as<P>()[c] = P(center);
        t.inv_std.as<P>()[c] = P(inv_std);
      }
    });
  });
}

void ReferenceBackend::do_norm_apply(Exec& e, const NormShape& s, const NormApply& t) {
  visit_floating(t.x.dtype, [&]<class T>(T) {
    using P = Wide<T>;
    for_each(e, s.size(), [&](int64_t i) {
      const int64_t c = i % s.c;
      const double x_hat = (double(t.x.as<const T>()[i]) - double(t.mean.as<const P>()[c])) * double(t.inv_std.as<const P>()[c]);
      t.y.as<T>()[i] = narrow<T>(activated(s.act, gamma_of<P>(t.gamma, c) * x_hat + double(t.beta.as<const P>()[c])));
    });
  });
}

void ReferenceBackend::do_norm_infer_forward(Exec& e, const NormShape& s, const NormInfer& t) {
  visit_floating(t.x.dtype, [&]<class T>(T) {
    using P = Wide<T>;
    for_each(e, s.size(), [&](int64_t i) {
      const int64_t c = i % s.c;
      const double inv_std = 1 / std::sqrt(double(t.variance.as<const P>()[c]) + s.eps);
      const double x_hat = (double(t.x.as<const T>()[i]) - double(t.mean.as<const P>()[c])) * inv_std;
      t.y.as<T>()[i] = narrow<T>(activated(s.act, gamma_of<P>(t.gamma, c) * x_hat + double(t.beta.as<const P>()[c])));
    });
  });
}

void ReferenceBackend::do_norm_train_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  visit_floating(t.dy.dtype, [&]<class T>(T) { backward<T, true>(e, s, t); });
}

void ReferenceBackend::do_norm_infer_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  visit_floating(t.dy.dtype, [&]<class T>(T) { backward<T, false>(e, s, t); });
}

}  // namespace ptrain::reference
