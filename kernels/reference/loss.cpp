// Softmax, its cross-entropy, and the L2 term. With z the logits of a row:
//   p[k] = exp z[k] / Σ_j exp z[j]      log p[k] = z[k] − log Σ_j exp z[j], from the logits and never clipped
//   losses[i] = −class_weights[label] · log p[label]      loss = Σ_i losses[i] / rows
//   dlogits[i,k] = dloss · class_weights[label] · (p[k] − (k == label)) / rows
#include <cmath>

#include "kernels/reference/loops.hpp"
#include "kernels/reference/reference.hpp"

namespace ptrain::reference {
namespace {

// The softmax of one row: exp(z[k] − largest) / sum. With the largest logit taken out, no exponential overflows.
template <class T>
struct Row {
  Row(const T* logits, int64_t n) : z(logits), largest(double(z[0])) {
    for (int64_t k = 1; k < n; ++k) largest = std::max(largest, double(z[k]));
    for (int64_t k = 0; k < n; ++k) sum += std::exp(double(z[k]) - largest);
  }
  double p(int64_t k) const { return std::exp(double(z[k]) - largest) / sum; }
  double log_p(int64_t k) const { return double(z[k]) - largest - std::log(sum); }

  const T* z;
  double largest, sum = 0;
};

void check_labels(const SoftmaxShape& s, const int32_t* labels) {
  for (int64_t i = 0; i < s.rows; ++i)
    REQUIRE_THAT(labels[i] >= 0 && labels[i] < s.classes, "softmax_cross_entropy: label ", labels[i], " in row ", i, ", there are ", s.classes, " classes");
}

}  // namespace

void ReferenceBackend::do_softmax(Exec& e, SoftmaxShape s, Buffer logits, Buffer p) {
  visit_floating(logits.dtype, [&]<class T>(T) {
    for_each(e, s.rows, [&](int64_t row) {
      const Row<T> r(logits.as<const T>() + row * s.classes, s.classes);
      for (int64_t k = 0; k < s.classes; ++k) p.as<Wide<T>>()[row * s.classes + k] = Wide<T>(r.p(k));
    });
  });
}

void ReferenceBackend::do_softmax_cross_entropy_forward(Exec& e, SoftmaxShape s, Buffer logits, Buffer labels, Buffer class_weights, Buffer p,
                                                        Buffer losses, Into loss) {
  const auto* label = labels.as<const int32_t>();
  check_labels(s, label);
  do_softmax(e, s, logits, p);
  visit_floating(logits.dtype, [&]<class T>(T) {
    using P = Wide<T>;
    double sum = 0;
    for (int64_t i = 0; i < s.rows; ++i) {
      const Row<T> r(logits.as<const T>() + i * s.classes, s.classes);
      const double term = double(class_weights.as<const P>()[label[i]]) * -r.log_p(label[i]);
      losses.as<P>()[i] = P(term);
      sum += term;
    }
    put(loss.buffer.as<P>(), 0, sum / double(s.rows), loss.how);
  });
}

void ReferenceBackend::do_softmax_cross_entropy_backward(Exec& e, SoftmaxShape s, Buffer p, Buffer labels, Buffer class_weights, Buffer dloss,
                                                         Into dlogits) {
  const auto* label = labels.as<const int32_t>();
  check_labels(s, label);
  visit_floating(dlogits.buffer.dtype, [&]<class T>(T) {
    using P = Wide<T>;
    for_each(e, s.rows * s.classes, [&](int64_t i) {
      const int32_t truth = label[i / s.classes];
      const double weight = double(dloss.as<const P>()[0]) * double(class_weights.as<const P>()[truth]) / double(s.rows);
      put(dlogits.buffer.as<T>(), i, weight * (double(p.as<const P>()[i]) - (i % s.classes == truth ? 1 : 0)), dlogits.how);
    });
  });
}

// factor · Σ x²
void ReferenceBackend::do_sum_squares(Exec&, double factor, Buffer x, Into sum) {
  visit_floating(x.dtype, [&]<class T>(T) {
    double squares = 0;
    for (int64_t i = 0; i < x.size; ++i) squares += double(x.as<const T>()[i]) * double(x.as<const T>()[i]);
    put(sum.buffer.as<Wide<T>>(), 0, factor * squares, sum.how);
  });
}

}  // namespace ptrain::reference
