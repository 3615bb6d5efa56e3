// Batch normalisation. The matrices are large (150 MB in full training) and the arithmetic is small: what counts is how often they
// pass through memory. Training: forward reads x twice and writes y; backward reads x, dy (and y, for the activation) twice and
// writes dx. Inference: each of them once.
#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {
namespace {

// y = act((x − mean) · scale + beta): the difference first, so that a mean far from zero costs no digits.
struct Affine {
  const float *mean, *scale, *beta;
};

template <class A, class T>
void normalise(Exec& e, const NormShape& s, const Affine& p, Buffer x, Buffer y) {
  parallel(e, s.rows, s.c, [&](Part part) {
    for (int64_t row = part.begin; row < part.end; ++row) {
      const T* from = x.as<const T>() + row * s.c;
      T* to = y.as<T>() + row * s.c;
#pragma omp simd
      for (int64_t c = 0; c < s.c; ++c) to[c] = T(A::apply((float(from[c]) - p.mean[c]) * p.scale[c] + p.beta[c]));
    }
  });
}

float gamma_at(Buffer gamma, int64_t c) { return gamma ? gamma.as<const float>()[c] : 1.f; }

// One row of the tensors of a backward pass. Without an activation y may be absent, and dy stands in for it.
template <class T>
struct Row {
  Row(const NormShape& s, const NormBackward& t, int64_t row)
      : x(t.x.as<const T>() + row * s.c),
        dy(t.dy.as<const T>() + row * s.c),
        y(s.act == Act::none ? dy : t.y.as<const T>() + row * s.c),
        dx(t.dx.buffer.as<T>() + (t.dx ? row * s.c : 0)) {}
  template <class A>
  float dz(int64_t c) const {  // the gradient before the activation
    return A::passes(float(y[c])) ? float(dy[c]) : 0.f;
  }
  const T *x, *dy, *y;
  T* dx;
};

template <class F>
void with_types(const NormShape& s, const NormBackward& t, F&& f) {
  with_type(t.x.dtype, [&]<class T>(T) {
    with_act(s.act, [&]<class A>(A) { with_flag(t.dx.how == Accumulate::yes, [&]<class Add>(Add) { f(T{}, A{}, Add{}); }); });
  });
}

void put_gradient(const Into& to, int64_t c, double v) {
  if (to) to.buffer.as<float>()[c] = float(v + (to.how == Accumulate::yes ? double(to.buffer.as<float>()[c]) : 0.0));
}

}  // namespace

void CpuBackend::do_norm_train_forward(Exec& e, const NormShape& s, const NormTrain& t) {
  with_type(t.x.dtype, [&]<class T>(T) {
    ColumnSums<2> statistics(e, s.rows, s.c, s.c);
    // Σx and Σx² in double: 53 bits leave room for a mean of ten thousand standard deviations.
    const double* sums = statistics.over_rows([&](int64_t row, double* sum) {
      const T* x = t.x.as<const T>() + row * s.c;
      double* square = sum + s.c;
#pragma omp simd
      for (int64_t c = 0; c < s.c; ++c) {
        const double v = double(float(x[c]));
        sum[c] += v;
        square[c] += v * v;
      }
    });
    float *mean = t.mean.as<float>(), *inv_std = t.inv_std.as<float>(), *scale = statistics.extra();
    float *moving_mean = t.moving_mean.as<float>(), *moving_variance = t.moving_variance.as<float>();
    for (int64_t c = 0; c < s.c; ++c) {
      const double m = sums[c] / double(s.rows), variance = std::max(0.0, sums[s.c + c] / double(s.rows) - m * m);
      mean[c] = float(m);
      inv_std[c] = float(1 / std::sqrt(variance + double(s.eps)));
      scale[c] = gamma_at(t.gamma, c) * inv_std[c];
      moving_mean[c] = moving_mean[c] * t.momentum + float(m) * (1 - t.momentum);
      moving_variance[c] = moving_variance[c] * t.momentum + float(variance) * (1 - t.momentum);
    }
    with_act(s.act, [&]<class A>(A) { normalise<A, T>(e, s, {mean, scale, t.beta.as<const float>()}, t.x, t.y); });
  });
}

void CpuBackend::do_norm_infer_forward(Exec& e, const NormShape& s, const NormInfer& t) {
  float* scale = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * s.c));
  for (int64_t c = 0; c < s.c; ++c) scale[c] = gamma_at(t.gamma, c) / std::sqrt(t.variance.as<const float>()[c] + s.eps);
  with_type(t.x.dtype, [&]<class T>(T) {
    with_act(s.act, [&]<class A>(A) { normalise<A, T>(e, s, {t.mean.as<const float>(), scale, t.beta.as<const float>()}, t.x, t.y); });
  });
}

// With x̂ = (x − mean)/σ and N rows: dβ = Σdz, dγ = Σdz·x̂, dx = γ/σ · (dz − dβ/N − x̂·dγ/N).
void CpuBackend::do_norm_train_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  with_types(s, t, [&]<class T, class A, class Add>(T, A, Add) {
    const float *mean = t.mean.as<const float>(), *inv_std = t.inv_std.as<const float>();
    ColumnSums<2> gradients(e, s.rows, s.c, 3 * s.c);
    const double* sums = gradients.over_rows([&](int64_t r, double* sum) {
      const Row<T> row(s, t, r);
      double* dot = sum + s.c;
#pragma omp simd
      for (int64_t c = 0; c < s.c; ++c) {
        const float dz = row.template dz<A>(c);
        sum[c] += double(dz);
        dot[c] += double(dz * (float(row.x[c]) - mean[c]));
      }
    });
    float *a = gradients.extra(), *b = a + s.c, *k = b + s.c;  // dx = a · dz − b − k · (x − mean)
    for (int64_t c = 0; c < s.c; ++c) {
      const double inv = double(inv_std[c]), dbeta = sums[c], dgamma = sums[s.c + c] * inv, slope = double(gamma_at(t.gamma, c)) * inv;
      put_gradient(t.dbeta, c, dbeta);
      put_gradient(t.dgamma, c, dgamma);
      a[c] = float(slope);
      b[c] = float(slope * dbeta / double(s.rows));
      k[c] = float(slope * dgamma * inv / double(s.rows));
    }
    if (!t.dx) return;
    parallel(e, s.rows, s.c, [&](Part part) {
      for (int64_t r = part.begin; r < part.end; ++r) {
        const Row<T> row(s, t, r);
#pragma omp simd
        for (int64_t c = 0; c < s.c; ++c) put<Add::value>(row.dx[c], a[c] * row.template dz<A>(c) - b[c] - k[c] * (float(row.x[c]) - mean[c]));
      }
    });
  });
}

// dβ = Σdz, dγ = Σdz·x̂, dx = γ/σ · dz, in one pass; without dβ and dγ x is not read.
void CpuBackend::do_norm_infer_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  with_types(s, t, [&]<class T, class A, class Add>(T, A, Add) {
    const float *mean = t.mean.as<const float>(), *variance = t.variance.as<const float>();
    ColumnSums<2> gradients(e, s.rows, s.c, 2 * s.c);
    float *inv_std = gradients.extra(), *a = inv_std + s.c;
    for (int64_t c = 0; c < s.c; ++c) {
      inv_std[c] = 1 / std::sqrt(variance[c] + s.eps);
      a[c] = gamma_at(t.gamma, c) * inv_std[c];
    }
    const auto write_dx = [&](const Row<T>& row) {
#pragma omp simd
      for (int64_t c = 0; c < s.c; ++c) put<Add::value>(row.dx[c], a[c] * row.template dz<A>(c));
    };
    if (!t.dgamma && !t.dbeta) {
      parallel(e, t.dx ? s.rows : 0, s.c, [&](Part part) {
        for (int64_t r = part.begin; r < part.end; ++r) write_dx(Row<T>(s, t, r));
      });
      return;
    }
    const double* sums = gradients.over_rows([&](int64_t r, double* sum) {
      const Row<T> row(s, t, r);
      double* dot = sum + s.c;
#pragma omp simd
      for (int64_t c = 0; c < s.c; ++c) {
        const float dz = row.template dz<A>(c);
        sum[c] += double(dz);
        dot[c] += double(dz * (float(row.x[c]) - mean[c]));
      }
      if (t.dx) write_dx(row);  // its values are in the nearest cache now
    });
    for (int64_t c = 0; c < s.c; ++c) {
      put_gradient(t.dbeta, c, sums[c]);
      put_gradient(t.dgamma, c, sums[s.c + c] * double(inv_std[c]));
    }
  });
}

}  // namespace ptrain::cpu
