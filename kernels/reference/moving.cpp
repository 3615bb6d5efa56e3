// Zero padding and copies of channels: values move, nothing is computed.
#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {

// y[n, h + top, w + left, c] = x[n,h,w,c], zero elsewhere
void ReferenceBackend::do_zero_pad_forward(Exec& e, const PadShape& s, Buffer x, Buffer y) {
  const int64_t height = s.h + s.top + s.bottom, width = s.w + s.left + s.right;
  visit_floating(x.dtype, [&]<class T>(T) {
    parallel_for(e, s.n * height, [&](int64_t row) {
      const int64_t n = row / height, h = row % height - s.top;
      for (int64_t i = 0; i < width * s.c; ++i) {
        const int64_t j = i - s.left * s.c;  // place in the row of x
        const bool inside = h >= 0 && h < s.h && j >= 0 && j < s.w * s.c;
        y.as<T>()[row * width * s.c + i] = inside ? x.as<const T>()[(n * s.h + h) * s.w * s.c + j] : T(0.f);
      }
    });
  });
}

// dx[n,h,w,c] = dy[n, h + top, w + left, c]
void ReferenceBackend::do_zero_pad_backward(Exec& e, const PadShape& s, Buffer dy, Into dx) {
  const int64_t height = s.h + s.top + s.bottom, width = s.w + s.left + s.right;
  visit_floating(dy.dtype, [&]<class T>(T) {
    parallel_for(e, s.n * s.h, [&](int64_t row) {
      const int64_t n = row / s.h, h = row % s.h;
      const T* from = dy.as<const T>() + ((n * height + h + s.top) * width + s.left) * s.c;
      for (int64_t i = 0; i < s.w * s.c; ++i) put(dx.buffer.as<T>(), row * s.w * s.c + i, double(from[i]), dx.how);
    });
  });
}

// to[row, to + i] = from[row, from + i]; the other channels of `to` stay as they are
void ReferenceBackend::do_copy_channels(Exec& e, const ChannelCopy& s, Buffer from, Into to) {
  visit_floating(from.dtype, [&]<class T>(T) {
    for_each(e, s.rows * s.count, [&](int64_t k) {
      const int64_t row = k / s.count, i = k % s.count;
      put(to.buffer.as<T>(), row * s.to_width + s.to + i, double(from.as<const T>()[row * s.from_width + s.from + i]), to.how);
    });
  });
}

}  // namespace ptrain::reference
