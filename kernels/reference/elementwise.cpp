// Activations, sums, scale and shift, conversions: one output element from one element of each input.
#include <cmath>
#include <limits>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

// Integers: towards zero, cut to the range of the type; a NaN becomes 0. Floats: to the nearest.
template <class T>
T converted(double v) {
  if constexpr (std::is_integral_v<T>) {
    if (std::isnan(v)) return 0;
    return T(std::clamp(v, double(std::numeric_limits<T>::min()), double(std::numeric_limits<T>::max())));
  } else {
    return narrow<T>(v);
  }
}

}  // namespace

// y = act(x)
void ReferenceBackend::do_act_forward(Exec& e, Act act, Buffer x, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    for_each(e, x.size, [&](int64_t i) { y.as<T>()[i] = narrow<T>(activated(act, double(x.as<const T>()[i]))); });
  });
}

// dx = dy · act′(y)
void ReferenceBackend::do_act_backward(Exec& e, Act act, Buffer y, Buffer dy, Into dx) {
  visit_floating(y.dtype, [&]<class T>(T) {
    for_each(e, y.size, [&](int64_t i) { put(dx.buffer.as<T>(), i, before(act, double(y.as<const T>()[i]), double(dy.as<const T>()[i])), dx.how); });
  });
}

// y = act(a + b)
void ReferenceBackend::do_add_act(Exec& e, Act act, Buffer a, Buffer b, Buffer y) {
  visit_floating(a.dtype, [&]<class T>(T) {
    for_each(e, a.size, [&](int64_t i) { y.as<T>()[i] = narrow<T>(activated(act, double(a.as<const T>()[i]) + double(b.as<const T>()[i]))); });
  });
}

// y += factor · x
void ReferenceBackend::do_add_scaled(Exec& e, double factor, Buffer x, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    visit_floating(y.dtype, [&]<class U>(U) {
      for_each(e, x.size, [&](int64_t i) { put(y.as<U>(), i, factor * double(x.as<const T>()[i]), Accumulate::yes); });
    });
  });
}

// y[row,c] = act(x[row,c] · scale[c] + shift[c])
void ReferenceBackend::do_scale_shift_act(Exec& e, const ScaleShiftShape& s, Buffer x, Buffer scale, Buffer shift, Buffer y) {
  visit_floating(x.dtype, [&]<class T>(T) {
    const auto *scales = scale.as<const Wide<T>>(), *shifts = shift.as<const Wide<T>>();
    for_each(e, s.rows * s.c, [&](int64_t i) {
      const int64_t row = i / s.c, c = i % s.c;
      const double v = double(x.as<const T>()[row * s.x_width + c]) * double(scales[c]) + double(shifts[c]);
      y.as<T>()[i] = narrow<T>(activated(s.act, v));
    });
  });
}

void ReferenceBackend::do_cast(Exec& e, Buffer x, Buffer y) {
  visit(x.dtype, [&]<class T>(T) {
    visit(y.dtype, [&]<class U>(U) { for_each(e, x.size, [&](int64_t i) { y.as<U>()[i] = converted<U>(double(x.as<const T>()[i])); }); });
  });
}

void ReferenceBackend::do_fill(Exec& e, double value, Buffer y) {
  visit(y.dtype, [&]<class T>(T) { for_each(e, y.size, [&](int64_t i) { y.as<T>()[i] = converted<T>(value); }); });
}

}  // namespace ptrain::reference
