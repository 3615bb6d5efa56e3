// Convolution, its two gradients, and the frozen convolution with scale, shift, residual and activation.
//   y[n,p,q,k]  = Σ_{r,s,c} x[n, p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c,k]
//   dx[n,h,w,c] = Σ_{r,s,k} dy[n,p,q,k] · w[r,s,c,k]      over the (p,q) that look at (h,w) through (r,s)
//   dw[r,s,c,k] = Σ_{n,p,q} dy[n,p,q,k] · x[n, p·stride − pad_h + r, q·stride − pad_w + s, c]
// Each is a sum of row-times-matrix products (product.hpp) over the window.
#include <vector>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/product.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

// Calls finish(first, sum) for every pixel of y: `first` is the index of its first channel, `sum` holds its k sums.
template <class T, class W, class F>
void convolve(Exec& e, const ConvShape& s, const T* x, const W* w, F&& finish) {
  parallel_for(e, s.n * s.p(), [&](int64_t row) {  // one row of output pixels
    const int64_t n = row / s.p(), p = row % s.p();
    std::vector<double> sum(size_t(s.k));
    for (int64_t q = 0; q < s.q(); ++q) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int64_t r = 0; r < s.r; ++r) {
        const int64_t h = p * s.stride - s.pad_h + r;
        if (h < 0 || h >= s.h) continue;
        for (int64_t t = 0; t < s.s; ++t) {
          const int64_t v = q * s.stride - s.pad_w + t;  // column of x
          if (v < 0 || v >= s.w) continue;
          add_product(x + ((n * s.h + h) * s.w + v) * s.c, 1, w + (r * s.s + t) * s.c * s.k, s.c, s.k, sum.data());
        }
      }
      finish((row * s.q() + q) * s.k, sum.data());
    }
  });
}

// wᵀ[r,s,k,c] = w[r,s,c,k], in the scratch memory of `e`.
template <class T>
const Wide<T>* transposed(Exec& e, const ConvShape& s, const T* w) {
  auto* to = static_cast<Wide<T>*>(e.scratch(s.w_size() * int64_t(sizeof(Wide<T>))));
  parallel_for(e, s.r * s.s, [&](int64_t rs) {
    for (int64_t c = 0; c < s.c; ++c)
      for (int64_t k = 0; k < s.k; ++k) to[(rs * s.k + k) * s.c + c] = Wide<T>(w[(rs * s.c + c) * s.k + k]);
  });
  return to;
}

template <class T>
void backward_data(Exec& e, const ConvShape& s, const T* dy, const T* w, T* dx, Accumulate how) {
  const Wide<T>* wt = transposed(e, s, w);
  parallel_for(e, s.n * s.h, [&](int64_t row) {  // one row of pixels of dx
    const int64_t n = row / s.h, h = row % s.h;
    std::vector<double> sum(size_t(s.c));
    for (int64_t v = 0; v < s.w; ++v) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int64_t r = 0; r < s.r; ++r) {
        const int64_t p = (h + s.pad_h - r) / s.stride;
        if (p * s.stride != h + s.pad_h - r || p < 0 || p >= s.p()) continue;
        for (int64_t t = 0; t < s.s; ++t) {
          const int64_t q = (v + s.pad_w - t) / s.stride;
          if (q * s.stride != v + s.pad_w - t || q < 0 || q >= s.q()) continue;
          add_product(dy + ((n * s.p() + p) * s.q() + q) * s.k, 1, wt + (r * s.s + t) * s.k * s.c, s.k, s.c, sum.data());
        }
      }
      for (int64_t c = 0; c < s.c; ++c) put(dx, (row * s.w + v) * s.c + c, sum[size_t(c)], how);
    }
  });
}

template <class T, class G>
void backward_filter(Exec& e, const ConvShape& s, const T* x, const T* dy_narrow, G* dw, Accumulate how) {
  const Wide<T>* dy = widened(e, dy_narrow, s.y_size());
  parallel_for(e, s.r * s.s * s.c, [&](int64_t row) {  // one row (r,s,c) of dw
    const int64_t r = row / s.c / s.s, t = row / s.c % s.s, c = row % s.c;
    // The columns q of dy whose column q·stride − pad_w + t of x exists.
    int64_t first = 0, last = s.q();
    while (first < last && first * s.stride - s.pad_w + t < 0) ++first;
    while (last > first && (last - 1) * s.stride - s.pad_w + t >= s.w) --last;
    std::vector<double> sum(size_t(s.k));
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t p = 0; p < s.p(); ++p) {
        const int64_t h = p * s.stride - s.pad_h + r, v = first * s.stride - s.pad_w + t;
        if (h < 0 || h >= s.h || first == last) continue;
        const T* xs = x + ((n * s.h + h) * s.w + v) * s.c + c;
        add_product(xs, s.stride * s.c, dy + ((n * s.p() + p) * s.q() + first) * s.k, last - first, s.k, sum.data());
      }
    for (int64_t k = 0; k < s.k; ++k) put(dw, row * s.k + k, sum[size_t(k)], how);
  });
}

// The weights as they came, in the type that convolve() reads fastest; scale and shift beside them.
template <class W>
struct Packed final : PackedWeights {
  std::vector<W> w;
  std::vector<double> scale, shift;
};

}  // namespace

void ReferenceBackend::do_conv_forward(Exec& e, const ConvShape& s, Buffer x, Buffer w, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    T* out = y.as<T>();
    convolve(e, s, x.as<const T>(), widened(e, w.as<const T>(), s.w_size()), [&](int64_t first, const double* sum) {
      for (int64_t k = 0; k < s.k; ++k) out[first + k] = narrow<T>(sum[k]);
    });
  });
}

void ReferenceBackend::do_conv_backward_data(Exec& e, const ConvShape& s, Buffer dy, Buffer w, Into dx) {
  visit_floating(dy.dtype, [&]<class T>(T) { backward_data(e, s, dy.as<const T>(), w.as<const T>(), dx.buffer.as<T>(), dx.how); });
}

void ReferenceBackend::do_conv_backward_filter(Exec& e, const ConvShape& s, Buffer x, Buffer dy, Into dw) {
  visit_floating(x.dtype, [&]<class T>(T) {
    if (dw.buffer.dtype == x.dtype) backward_filter(e, s, x.as<const T>(), dy.as<const T>(), dw.buffer.as<T>(), dw.how);
    else backward_filter(e, s, x.as<const T>(), dy.as<const T>(), dw.buffer.as<float>(), dw.how);
  });
}

std::shared_ptr<const PackedWeights> ReferenceBackend::do_pack_conv(Exec&, const Fused<ConvShape>& f, Buffer w, Buffer scale, Buffer shift) {
  return visit_floating(w.dtype, [&]<class T>(T) -> std::shared_ptr<const PackedWeights> {
    auto packed = std::make_shared<Packed<Wide<T>>>();
    const auto* from = w.as<const T>();
    const auto *scales = scale.as<const Wide<T>>(), *shifts = shift.as<const Wide<T>>();
    for (int64_t i = 0; i < w.size; ++i) packed->w.push_back(Wide<T>(from[i]));
    packed->scale.assign(scales, scales + f.conv.k);
    packed->shift.assign(shifts, shifts + f.conv.k);
    return packed;
  });
}

// y = act(scale[k] · conv(x, w) + shift[k] [+ residual]), rounded once.
void ReferenceBackend::do_conv_bn_act(Exec& e, const Fused<ConvShape>& f, Buffer x, const PackedWeights& weights, Buffer residual, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    const auto* packed = dynamic_cast<const Packed<Wide<T>>*>(&weights);
    REQUIRE_THAT(packed && int64_t(packed->w.size()) == f.conv.w_size(), "conv_bn_act: the weights were packed for another shape, type or device");
    const T* add = f.residual ? residual.as<const T>() : nullptr;
    T* out = y.as<T>();
    convolve(e, f.conv, x.as<const T>(), packed->w.data(), [&](int64_t first, const double* sum) {
      for (int64_t k = 0; k < f.conv.k; ++k) {
        const double v = sum[k] * packed->scale[size_t(k)] + packed->shift[size_t(k)] + (add ? double(add[first + k]) : 0);
        out[first + k] = narrow<T>(activated(f.act, v));
      }
    });
  });
}

}  // namespace ptrain::reference
