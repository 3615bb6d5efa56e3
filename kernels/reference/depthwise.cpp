// Depthwise convolution, its two gradients, and the frozen one with scale, shift, residual and activation.
//   y[n,p,q,c]  = Σ_{r,s} x[n, p·stride − pad_h + r, q·stride − pad_w + s, c] · w[r,s,c]
//   dx[n,h,w,c] = Σ_{r,s} dy[n,p,q,c] · w[r,s,c]      over the (p,q) that look at (h,w) through (r,s)
//   dw[r,s,c]   = Σ_{n,p,q} dy[n,p,q,c] · x[n, p·stride − pad_h + r, q·stride − pad_w + s, c]
#include <vector>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

// sum[c] += a[c] · b[c]
template <class A, class B>
void add_products(const A* a, const B* b, int64_t n, double* __restrict sum) {
  for (int64_t c = 0; c < n; ++c) sum[c] += double(a[c]) * double(b[c]);
}

// Calls finish(first, sum) for every pixel of y: `first` is the index of its first channel, `sum` holds its c sums.
template <class T, class W, class F>
void convolve(Exec& e, const DepthwiseShape& s, const T* x, const W* w, F&& finish) {
  parallel_for(e, s.n * s.p(), [&](int64_t row) {  // one row of output pixels
    const int64_t n = row / s.p(), p = row % s.p();
    std::vector<double> sum(size_t(s.c));
    for (int64_t q = 0; q < s.q(); ++q) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int64_t r = 0; r < s.r; ++r)
        for (int64_t t = 0; t < s.s; ++t) {
          const int64_t h = p * s.stride - s.pad_h + r, v = q * s.stride - s.pad_w + t;
          if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
          add_products(x + ((n * s.h + h) * s.w + v) * s.c, w + (r * s.s + t) * s.c, s.c, sum.data());
        }
      finish((row * s.q() + q) * s.c, sum.data());
    }
  });
}

template <class T>
void backward_data(Exec& e, const DepthwiseShape& s, const T* dy, const T* w, T* dx, Accumulate how) {
  parallel_for(e, s.n * s.h, [&](int64_t row) {  // one row of pixels of dx
    const int64_t n = row / s.h, h = row % s.h;
    std::vector<double> sum(size_t(s.c));
    for (int64_t v = 0; v < s.w; ++v) {
      std::fill(sum.begin(), sum.end(), 0.0);
      for (int64_t r = 0; r < s.r; ++r)
        for (int64_t t = 0; t < s.s; ++t) {
          const int64_t p = (h + s.pad_h - r) / s.stride, q = (v + s.pad_w - t) / s.stride;
          if (p * s.stride != h + s.pad_h - r || q * s.stride != v + s.pad_w - t || p < 0 || p >= s.p() || q < 0 || q >= s.q()) continue;
          add_products(dy + ((n * s.p() + p) * s.q() + q) * s.c, w + (r * s.s + t) * s.c, s.c, sum.data());
        }
      for (int64_t c = 0; c < s.c; ++c) put(dx, (row * s.w + v) * s.c + c, sum[size_t(c)], how);
    }
  });
}

template <class T, class G>
void backward_filter(Exec& e, const DepthwiseShape& s, const T* x, const T* dy, G* dw, Accumulate how) {
  parallel_for(e, s.r * s.s, [&](int64_t rs) {
    const int64_t r = rs / s.s, t = rs % s.s;
    std::vector<double> sum(size_t(s.c));
    for (int64_t n = 0; n < s.n; ++n)
      for (int64_t p = 0; p < s.p(); ++p)
        for (int64_t q = 0; q < s.q(); ++q) {
          const int64_t h = p * s.stride - s.pad_h + r, v = q * s.stride - s.pad_w + t;
          if (h < 0 || h >= s.h || v < 0 || v >= s.w) continue;
          add_products(x + ((n * s.h + h) * s.w + v) * s.c, dy + ((n * s.p() + p) * s.q() + q) * s.c, s.c, sum.data());
        }
    for (int64_t c = 0; c < s.c; ++c) put(dw, rs * s.c + c, sum[size_t(c)], how);
  });
}

struct Packed final : PackedWeights {
  std::vector<double> w, scale, shift;
};

}  // namespace

void ReferenceBackend::do_depthwise_forward(Exec& e, const DepthwiseShape& s, Buffer x, Buffer w, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    T* out = y.as<T>();
    convolve(e, s, x.as<const T>(), w.as<const T>(), [&](int64_t first, const double* sum) {
      for (int64_t c = 0; c < s.c; ++c) out[first + c] = narrow<T>(sum[c]);
    });
  });
}

void ReferenceBackend::do_depthwise_backward_data(Exec& e, const DepthwiseShape& s, Buffer dy, Buffer w, Into dx) {
  visit_floating(dy.dtype, [&]<class T>(T) { backward_data(e, s, dy.as<const T>(), w.as<const T>(), dx.buffer.as<T>(), dx.how); });
}

void ReferenceBackend::do_depthwise_backward_filter(Exec& e, const DepthwiseShape& s, Buffer x, Buffer dy, Into dw) {
  visit_floating(x.dtype, [&]<class T>(T) {
    if (dw.buffer.dtype == x.dtype) backward_filter(e, s, x.as<const T>(), dy.as<const T>(), dw.buffer.as<T>(), dw.how);
    else backward_filter(e, s, x.as<const T>(), dy.as<const T>(), dw.buffer.as<float>(), dw.how);
  });
}

std::shared_ptr<const PackedWeights> ReferenceBackend::do_pack_depthwise(Exec&, const Fused<DepthwiseShape>& f, Buffer w, Buffer scale,
                                                                         Buffer shift) {
  auto packed = std::make_shared<Packed>();
  visit_floating(w.dtype, [&]<class T>(T) {
    const auto* from = w.as<const T>();
    const auto *scales = scale.as<const Wide<T>>(), *shifts = shift.as<const Wide<T>>();
    for (int64_t i = 0; i < w.size; ++i) packed->w.push_back(double(from[i]));
    packed->scale.assign(scales, scales + f.conv.c);
    packed->shift.assign(shifts, shifts + f.conv.c);
  });
  return packed;
}

// y = act(scale[c] · conv(x, w) + shift[c] [+ residual]), rounded once.
void ReferenceBackend::do_depthwise_bn_act(Exec& e, const Fused<DepthwiseShape>& f, Buffer x, const PackedWeights& weights, Buffer residual,
                                           Buffer y) {
  const auto* packed = dynamic_cast<const Packed*>(&weights);
  REQUIRE_THAT(packed && int64_t(packed->w.size()) == f.conv.w_size(), "depthwise_bn_act: the weights were packed for another shape or device");
  visit_floating(x.dtype, [&]<class T>(T) {
    const T* add = f.residual ? residual.as<const T>() : nullptr;
    T* out = y.as<T>();
    convolve(e, f.conv, x.as<const T>(), packed->w.data(), [&](int64_t first, const double* sum) {
      for (int64_t c = 0; c < f.conv.c; ++c) {
        const double v = sum[c] * packed->scale[size_t(c)] + packed->shift[size_t(c)] + (add ? double(add[first + c]) : 0);
        out[first + c] = narrow<T>(activated(f.act, v));
      }
    });
  });
}

}  // namespace ptrain::reference
