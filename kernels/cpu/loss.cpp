// Softmax, cross entropy and the L2 term. A few hundred values a batch, so one thread and double precision throughout; only the
// sum of squares, which reads whole weight tensors, is split.
#include <cmath>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/loops.hpp"

namespace ptrain::cpu {
namespace {

// p = softmax(z); returns log Σ exp z, taken at the maximum so that nothing overflows.
template <class T>
double softmax_row(const T* z, int64_t classes, float* p) {
  double top = double(float(z[0])), sum = 0;
  for (int64_t i = 1; i < classes; ++i) top = std::max(top, double(float(z[i])));
  for (int64_t i = 0; i < classes; ++i) sum += std::exp(double(float(z[i])) - top);
  for (int64_t i = 0; i < classes; ++i) p[i] = float(std::exp(double(float(z[i])) - top) / sum);
  return top + std::log(sum);
}

int32_t label_at(Buffer labels, int64_t row, int64_t classes) {
  const int32_t label = labels.as<const int32_t>()[row];
  REQUIRE_THAT(label >= 0 && label < classes, "softmax_cross_entropy: label ", label, " in row ", row, ", there are ", classes, " classes");
  return label;
}

void put_total(const Into& to, double v) {
  float* p = to.buffer.as<float>();
  *p = float(v + (to.how == Accumulate::yes ? double(*p) : 0.0));
}

}  // namespace

void CpuBackend::do_softmax(Exec&, SoftmaxShape s, Buffer logits, Buffer p) {
  with_type(logits.dtype, [&]<class T>(T) {
    for (int64_t row = 0; row < s.rows; ++row)
      softmax_row(logits.as<const T>() + row * s.classes, s.classes, p.as<float>() + row * s.classes);
  });
}

void CpuBackend::do_softmax_cross_entropy_forward(Exec&, SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p,
                                                  Buffer losses, Into loss) {
  with_type(logits.dtype, [&]<class T>(T) {
    double total = 0;
    for (int64_t row = 0; row < s.rows; ++row) {
      const T* z = logits.as<const T>() + row * s.classes;
      const int32_t label = label_at(labels, row, s.classes);
      const double log_sum = softmax_row(z, s.classes, p.as<float>() + row * s.classes);
      const double term = double(class_weights.as<const float>()[label]) * (log_sum - double(float(z[label])));
      losses.as<float>()[row] = float(term);
      total += term;
    }
    put_total(loss, total / double(s.rows));
  });
}

void CpuBackend::do_softmax_cross_entropy_backward(Exec&, SoftmaxShape s, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss,
                                                   Into dlogits) {
  with_type(dlogits.buffer.dtype, [&]<class T>(T) {
    with_flag(dlogits.how == Accumulate::yes, [&]<class Add>(Add) {
      for (int64_t row = 0; row < s.rows; ++row) {
        const int32_t label = label_at(labels, row, s.classes);
        const double factor = double(dloss.as<const float>()[0]) * double(class_weights.as<const float>()[label]) / double(s.rows);
        const float* from = p.as<const float>() + row * s.classes;
        T* to = dlogits.buffer.as<T>() + row * s.classes;
        for (int64_t i = 0; i < s.classes; ++i) put<Add::value>(to[i], float(factor * (double(from[i]) - (i == label))));
      }
    });
  });
}

void CpuBackend::do_sum_squares(Exec& e, double factor, Buffer x, Into sum) {
  const int parts = part_count(e, x.size, 1);
  double* sums = static_cast<double*>(e.scratch(int64_t(sizeof(double)) * parts));
  with_type(x.dtype, [&]<class T>(T) {
    parallel(parts, x.size, [&, from = x.as<const T>()](Part part) {
      double total = 0;
#pragma omp simd reduction(+ : total)
      for (int64_t i = part.begin; i < part.end; ++i) total += double(float(from[i])) * double(float(from[i]));
      sums[part.index] = total;
    });
  });
  double total = 0;
  for (int i = 0; i < parts; ++i) total += sums[i];
  put_total(sum, factor * total);
}

}  // namespace ptrain::cpu
