// Dense layers: three matrix products, bias with activation, and the gradient of the bias.
//   y[m,k] = Σ_c x[m,c] · w[c,k]      dx[m,c] = Σ_k dy[m,k] · w[c,k]      dw[c,k] = Σ_m x[m,c] · dy[m,k]
#include <vector>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/product.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

template <class T, class G>
void backward_filter(Exec& e, const DenseShape& s, const T* x, const T* dy_narrow, G* dw, Accumulate how) {
  const Wide<T>* dy = widened(e, dy_narrow, s.m * s.k);
  parallel_for(e, s.c, [&](int64_t c) {
    std::vector<double> sum(size_t(s.k));
    add_product(x + c, s.c, dy, s.m, s.k, sum.data());
    for (int64_t k = 0; k < s.k; ++k) put(dw, c * s.k + k, sum[size_t(k)], how);
  });
}

}  // namespace

void ReferenceBackend::do_dense_forward(Exec& e, const DenseShape& s, Buffer x, Buffer w, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    const auto* ws = widened(e, w.as<const T>(), s.c * s.k);
    parallel_for(e, s.m, [&](int64_t m) {
      std::vector<double> sum(size_t(s.k));
      add_product(x.as<const T>() + m * s.c, 1, ws, s.c, s.k, sum.data());
      for (int64_t k = 0; k < s.k; ++k) y.as<T>()[m * s.k + k] = narrow<T>(sum[size_t(k)]);
    });
  });
}

void ReferenceBackend::do_dense_backward_data(Exec& e, const DenseShape& s, Buffer dy, Buffer w, Into dx) {
  visit_floating(dy.dtype, [&]<class T>(T) {
    parallel_for(e, s.m * s.c, [&](int64_t i) {
      const T *dys = dy.as<const T>() + i / s.c * s.k, *ws = w.as<const T>() + i % s.c * s.k;
      double sum = 0;
      for (int64_t k = 0; k < s.k; ++k) sum += double(dys[k]) * double(ws[k]);
      put(dx.buffer.as<T>(), i, sum, dx.how);
    });
  });
}

void ReferenceBackend::do_dense_backward_filter(Exec& e, const DenseShape& s, Buffer x, Buffer dy, Into dw) {
  visit_floating(x.dtype, [&]<class T>(T) {
    if (dw.buffer.dtype == x.dtype) backward_filter(e, s, x.as<const T>(), dy.as<const T>(), dw.buffer.as<T>(), dw.how);
    else backward_filter(e, s, x.as<const T>(), dy.as<const T>(), dw.buffer.as<float>(), dw.how);
  });
}

// y[row,c] = act(x[row,c] + b[c])
void ReferenceBackend::do_bias_act_forward(Exec& e, RowShape s, Act act, Buffer x, Buffer b, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    const auto* bias = b.as<const Wide<T>>();
    for_each(e, s.size(), [&](int64_t i) { y.as<T>()[i] = narrow<T>(activated(act, double(x.as<const T>()[i]) + double(bias[i % s.c]))); });
  });
}

// db[c] = Σ_row dy[row,c]
void ReferenceBackend::do_bias_backward(Exec& e, RowShape s, Buffer dy, Into db) {
  visit_floating(dy.dtype, [&]<class T>(T) {
    for_channel_blocks(e, s.c, [&](int64_t first, int64_t last) {
      double sum[kChannelBlock] = {};
      for (int64_t row = 0; row < s.rows; ++row)
        for (int64_t c = first; c < last; ++c) sum[c - first] += double(dy.as<const T>()[row * s.c + c]);
      for (int64_t c = first; c < last; ++c) put(db.buffer.as<Wide<T>>(), c, sum[c - first], db.how);
    });
  });
}

}  // namespace ptrain::reference
