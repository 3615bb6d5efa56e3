// Batch normalisation. The matrices are large (150 MB in full training) and the arithmetic is small: what counts is how often they
// pass through memory. Training: forward reads x twice and writes y; backward reads x and dy twice and writes dx (which may be dy).
// Inference: x, y and dy once.
#include <cmath>

#include "kernels/cpu/column_sums.hpp"
#include "kernels/cpu/cpu.hpp"

namespace ptrain::cpu {
namespace {

// y = act((x − mean) · scale + beta): the difference first, so that a mean far from zero costs no digits.
struct Affine {
  template <class Lanes>
  [[gnu::always_inline]] Vec operator()(Vec x, int64_t c, Lanes lanes) const {
    return (x - load(mean + c, lanes)) * load(scale + c, lanes) + load(beta + c, lanes);
  }
  const float *mean, *scale, *beta;
};

template <class A, class T>
void normalise(Exec& e, const NormShape& s, const Affine& p, Buffer x, Buffer y) {
  parallel(e, s.rows, s.c, [&](Part part) {
    for (int64_t row = part.begin; row < part.end; ++row) {
      const T* from = x.as<const T>() + row * s.c;
      T* to = y.as<T>() + row * s.c;
      over_lanes(0, s.c, [&](int64_t c, auto lanes) { store(to + c, activate<A>(p(load(from + c, lanes), c, lanes)), lanes); });
    }
  });
}

float gamma_at(Buffer gamma, int64_t c) { return gamma ? gamma.as<const float>()[c] : 1.f; }

// The tensors of a backward pass. With an activation `y` is known in inference; in training it is computed again, as `affine` says.
template <class T>
struct Gradients {
  Gradients(const NormShape& s, const NormBackward& t, Affine a = {})
      : c(s.c),
        x(t.x ? t.x.as<const T>() : nullptr),
        dy(t.dy.as<const T>()),
        y(t.y ? t.y.as<const T>() : nullptr),
        dx(t.dx ? t.dx.buffer.as<T>() : nullptr),
        affine(a) {}
  // The gradient before the activation, of channels [at, at + lanes) of a row.
  template <class A, class Lanes>
  [[gnu::always_inline]] Vec dz(int64_t row, int64_t at, Lanes lanes) const {
    const int64_t i = row * c + at;
    const Vec d = load(dy + i, lanes);
    if constexpr (std::is_same_v<A, Linear>) return d;
    else return A::passes(y ? load(y + i, lanes) : affine(load(x + i, lanes), at, lanes)) ? d : Vec{};
  }
  int64_t c;
  const T *x, *dy, *y;
  T* dx;
  Affine affine;
};

template <class F>
void with_types(const NormShape& s, const NormBackward& t, F&& f) {
  with_type(t.dy.dtype, [&]<class T>(T) {
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
    const double* sums = statistics.over_rows([&](int64_t row, int64_t c, auto lanes, WideSum* sum) PTRAIN_INLINE {
      const Vec x = load(t.x.as<const T>() + row * s.c + c, lanes);
      sum[0].add(x);
      sum[1].add_square(x);
    });
    float *mean = t.mean.as<float>(), *inv_std = t.inv_std.as<float>(), *scale = statistics.extra();
    float *moving_mean = t.moving_mean.as<float>(), *moving_variance = t.moving_variance.as<float>();
    for (int64_t c = 0; c < s.c; ++c) {
      const double m = sums[c] / double(s.rows), variance = std::max(0.0, sums[s.c + c] / double(s.rows) - m * m);
      mean[c] = float(m);
      inv_std[c] = float(1 / std::sqrt(variance + double(s.eps)));
      scale[c] = gamma_at(t.gamma, c) * inv_std[c];
      moving_mean[c] = float(double(moving_mean[c]) * t.momentum + m * (1 - t.momentum));
      moving_variance[c] = float(double(moving_variance[c]) * t.momentum + variance * (1 - t.momentum));
    }
    with_act(s.act, [&]<class A>(A) { normalise<A, T>(e, s, {mean, scale, t.beta.as<const float>()}, t.x, t.y); });
  });
}

void CpuBackend::do_norm_infer_forward(Exec& e, const NormShape& s, const NormInfer& t) {
  float* scale = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * s.c));
  for (int64_t c = 0; c < s.c; ++c) scale[c] = gamma_at(t.gamma, c) / std::sqrt(t.variance.as<const float>()[c] + float(s.eps));
  with_type(t.x.dtype, [&]<class T>(T) {
    with_act(s.act, [&]<class A>(A) { normalise<A, T>(e, s, {t.mean.as<const float>(), scale, t.beta.as<const float>()}, t.x, t.y); });
  });
}

void CpuBackend::do_norm_apply(Exec& e, const NormShape& s, const NormApply& t) {
  float* scale = static_cast<float*>(e.scratch(int64_t(sizeof(float)) * s.c));
  for (int64_t c = 0; c < s.c; ++c) scale[c] = gamma_at(t.gamma, c) * t.inv_std.as<const float>()[c];
  with_type(t.x.dtype, [&]<class T>(T) {
    with_act(s.act, [&]<class A>(A) { normalise<A, T>(e, s, {t.mean.as<const float>(), scale, t.beta.as<const float>()}, t.x, t.y); });
  });
}

// With x̂ = (x − mean)/σ and N rows: dβ = Σdz, dγ = Σdz·x̂, dx = γ/σ · (dz − dβ/N − x̂·dγ/N).
void CpuBackend::do_norm_train_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  with_types(s, t, [&]<class T, class A, class Add>(T, A, Add) {
    const float *mean = t.mean.as<const float>(), *inv_std = t.inv_std.as<const float>();
    ColumnSums<2> totals(e, s.rows, s.c, 3 * s.c);
    float *a = totals.extra(), *b = a + s.c, *k = b + s.c;                       // dx = a · dz − b − k · (x − mean)
    for (int64_t c = 0; c < s.c; ++c) a[c] = gamma_at(t.gamma, c) * inv_std[c];  // also the scale of the forward pass
    const Gradients<T> g(s, t, {mean, a, t.beta ? t.beta.as<const float>() : nullptr});
    const double* sums = totals.over_rows([&](int64_t row, int64_t c, auto lanes, WideSum* sum) PTRAIN_INLINE {
      const Vec dz = g.template dz<A>(row, c, lanes);
      sum[0].add(dz);
      sum[1].add(dz * (load(g.x + row * s.c + c, lanes) - load(mean + c, lanes)));
    });
    for (int64_t c = 0; c < s.c; ++c) {
      const double inv = double(inv_std[c]), dbeta = sums[c], dgamma = sums[s.c + c] * inv, slope = double(gamma_at(t.gamma, c)) * inv;
      put_gradient(t.dbeta, c, dbeta);
      put_gradient(t.dgamma, c, dgamma);
      b[c] = float(slope * dbeta / double(s.rows));
      k[c] = float(slope * dgamma * inv / double(s.rows));
    }
    if (!t.dx) return;
    parallel(e, s.rows, s.c, [&](Part part) {
      for (int64_t row = part.begin; row < part.end; ++row)
        over_lanes(0, s.c, [&](int64_t c, auto lanes) PTRAIN_INLINE {
          T* to = g.dx + row * s.c + c;
          Vec v = load(a + c, lanes) * g.template dz<A>(row, c, lanes) - load(b + c, lanes) -
                  load(k + c, lanes) * (load(g.x + row * s.c + c, lanes) - load(mean + c, lanes));
          if constexpr (Add::value) v += load(to, lanes);
          store(to, v, lanes);
        });
    });
  });
}

// dβ = Σdz, dγ = Σdz·x̂, dx = γ/σ · dz, in one pass; without dγ x is not read.
void CpuBackend::do_norm_infer_backward(Exec& e, const NormShape& s, const NormBackward& t) {
  with_types(s, t, [&]<class T, class A, class Add>(T, A, Add) {
    const float *mean = t.mean.as<const float>(), *variance = t.variance.as<const float>();
    ColumnSums<2> totals(e, s.rows, s.c, 2 * s.c);
    float *inv_std = totals.extra(), *a = inv_std + s.c;
    for (int64_t c = 0; c < s.c; ++c) {
      inv_std[c] = 1 / std::sqrt(variance[c] + float(s.eps));
      a[c] = gamma_at(t.gamma, c) * inv_std[c];
    }
    const Gradients<T> g(s, t);
    const auto write_dx = [&](int64_t row, int64_t c, auto lanes, Vec dz) PTRAIN_INLINE {
      T* to = g.dx + row * s.c + c;
      Vec v = load(a + c, lanes) * dz;
      if constexpr (Add::value) v += load(to, lanes);
      store(to, v, lanes);
    };
    if (!t.dgamma && !t.dbeta) {
      parallel(e, t.dx ? s.rows : 0, s.c, [&](Part part) {
        for (int64_t row = part.begin; row < part.end; ++row)
          over_lanes(0, s.c, [&](int64_t c, auto lanes) PTRAIN_INLINE { write_dx(row, c, lanes, g.template dz<A>(row, c, lanes)); });
      });
      return;
    }
    const double* sums = totals.over_rows([&](int64_t row, int64_t c, auto lanes, WideSum* sum) PTRAIN_INLINE {
      const Vec dz = g.template dz<A>(row, c, lanes);
      sum[0].add(dz);
      if (t.dgamma) sum[1].add(dz * (load(g.x + row * s.c + c, lanes) - load(mean + c, lanes)));
      if (g.dx) write_dx(row, c, lanes, dz);
    });
    for (int64_t c = 0; c < s.c; ++c) {
      put_gradient(t.dbeta, c, sums[c]);
      put_gradient(t.dgamma, c, sums[s.c + c] * double(inv_std[c]));
    }
  });
}

}  // namespace ptrain::cpu
