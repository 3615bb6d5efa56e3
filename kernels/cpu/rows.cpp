// Matrices of rows × channels: scale and shift, bias, column sums, channel copies, padding. All are bound by memory.
#include <cstring>

#include "kernels/cpu/column_sums.hpp"
#include "kernels/cpu/cpu.hpp"

namespace ptrain::cpu {

void CpuBackend::do_scale_shift_act(Exec& e, const ScaleShiftShape& s, Buffer x, Buffer scale, Buffer shift, Buffer y) {
  with_type(x.dtype, [&]<class T>(T) {
    with_act(s.act, [&]<class A>(A) {
      parallel(e, s.rows, s.c, [&, a = scale.as<const float>(), b = shift.as<const float>()](Part part) {
        for (int64_t row = part.begin; row < part.end; ++row) {
          const T* from = x.as<const T>() + row * s.x_width;
          T* to = y.as<T>() + row * s.c;
          over_lanes(0, s.c, [&](int64_t c, auto lanes) {
            store(to + c, activate<A>(load(from + c, lanes) * load(a + c, lanes) + load(b + c, lanes)), lanes);
          });
        }
      });
    });
  });
}

void CpuBackend::do_bias_act_forward(Exec& e, RowShape s, Act act, Buffer x, Buffer b, Buffer y) {
  with_type(x.dtype, [&]<class T>(T) {
    with_act(act, [&]<class A>(A) {
      parallel(e, s.rows, s.c, [&, bias = b.as<const float>()](Part part) {
        for (int64_t row = part.begin; row < part.end; ++row) {
          const T* from = x.as<const T>() + row * s.c;
          T* to = y.as<T>() + row * s.c;
          over_lanes(0, s.c,
                     [&](int64_t c, auto lanes) { store(to + c, activate<A>(load(from + c, lanes) + load(bias + c, lanes)), lanes); });
        }
      });
    });
  });
}

void CpuBackend::do_bias_backward(Exec& e, RowShape s, Buffer dy, Into db) {
  with_type(dy.dtype, [&]<class T>(T) {
    const double* sums = ColumnSums<1>(e, s.rows, s.c).over_rows([&](int64_t row, int64_t c, auto lanes, WideSum* sum) PTRAIN_INLINE {
      sum->add(load(dy.as<const T>() + row * s.c + c, lanes));
    });
    float* to = db.buffer.as<float>();
    for (int64_t c = 0; c < s.c; ++c) to[c] = float(sums[c] + (db.how == Accumulate::yes ? double(to[c]) : 0.0));
  });
}

void CpuBackend::do_copy_channels(Exec& e, const ChannelCopy& s, Buffer from, Into to) {
  with_type(from.dtype, [&]<class T>(T) {
    parallel(e, s.rows, s.count, [&](Part part) {
      for (int64_t row = part.begin; row < part.end; ++row) {
        const T* x = from.as<const T>() + row * s.from_width + s.from;
        T* y = to.buffer.as<T>() + row * s.to_width + s.to;
        if (to.how == Accumulate::no) {
          std::memcpy(y, x, size_t(s.count) * sizeof(T));
        } else {
#pragma omp simd
          for (int64_t c = 0; c < s.count; ++c) y[c] = T(float(y[c]) + float(x[c]));
        }
      }
    });
  });
}

void CpuBackend::do_zero_pad_forward(Exec& e, const PadShape& s, Buffer x, Buffer y) {
  const int64_t height = s.h + s.top + s.bottom, size = size_of(x.dtype);
  const int64_t left = s.left * s.c * size, inner = s.w * s.c * size, right = s.right * s.c * size;
  parallel(e, s.n * height, s.w * s.c, [&](Part part) {
    for (int64_t i = part.begin; i < part.end; ++i) {
      const int64_t n = i / height, h = i % height - s.top;
      char* to = y.as<char>() + i * (left + inner + right);
      if (h < 0 || h >= s.h) {
        std::memset(to, 0, size_t(left + inner + right));
      } else {
        std::memset(to, 0, size_t(left));
        std::memcpy(to + left, x.as<const char>() + (n * s.h + h) * inner, size_t(inner));
        std::memset(to + left + inner, 0, size_t(right));
      }
    }
  });
}

void CpuBackend::do_zero_pad_backward(Exec& e, const PadShape& s, Buffer dy, Into dx) {
  const int64_t height = s.h + s.top + s.bottom, width = s.w + s.left + s.right, inner = s.w * s.c;
  with_type(dy.dtype, [&]<class T>(T) {
    with_flag(dx.how == Accumulate::yes, [&]<class Add>(Add) {
      parallel(e, s.n * s.h, inner, [&](Part part) {
        for (int64_t i = part.begin; i < part.end; ++i) {
          const T* from = dy.as<const T>() + ((i / s.h * height + i % s.h + s.top) * width + s.left) * s.c;
          T* to = dx.buffer.as<T>() + i * inner;
#pragma omp simd
          for (int64_t j = 0; j < inner; ++j) put<Add::value>(to[j], float(from[j]));
        }
      });
    });
  });
}

}  // namespace ptrain::cpu
