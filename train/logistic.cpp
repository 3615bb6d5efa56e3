#include "train/logistic.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/error.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain {
namespace {

double log1p_exp(double z) { return z > 0 ? z + std::log1p(std::exp(-z)) : std::log1p(std::exp(z)); }

// Solves a·x = b for a symmetric positive definite a (k × k, overwritten) by Cholesky's decomposition.
std::vector<double> solve(std::vector<double> a, std::vector<double> b) {
  const size_t k = b.size();
  for (size_t j = 0; j < k; ++j) {
    for (size_t i = j; i < k; ++i) {
      double sum = a[i * k + j];
      for (size_t m = 0; m < j; ++m) sum -= a[i * k + m] * a[j * k + m];
      a[i * k + j] = i == j ? std::sqrt(std::max(sum, 1e-300)) : sum / a[j * k + j];
    }
  }
  for (size_t i = 0; i < k; ++i) {
    for (size_t m = 0; m < i; ++m) b[i] -= a[i * k + m] * b[m];
    b[i] /= a[i * k + i];
  }
  for (size_t i = k; i-- > 0;) {
    for (size_t m = i + 1; m < k; ++m) b[i] -= a[m * k + i] * b[m];
    b[i] /= a[i * k + i];
  }
  return b;
}

struct Problem {
  const std::vector<double>& z;  // standardised rows
  std::span<const int32_t> labels;
  size_t d;
  double ridge;

  double score(const std::vector<double>& theta, size_t i) const {
    double s = theta[d];
    for (size_t j = 0; j < d; ++j) s += theta[j] * z[i * d + j];
    return s;
  }
  double loss(const std::vector<double>& theta) const {
    statistics::Sum sum;
    for (size_t i = 0; i < labels.size(); ++i) {
      const double s = score(theta, i);
      sum.add(labels[i] ? log1p_exp(-s) : log1p_exp(s));
    }
    for (size_t j = 0; j < d; ++j) sum.add(0.5 * ridge * theta[j] * theta[j]);
    return sum.value();
  }
  // The Newton step at theta, and how large the gradient is.
  std::pair<std::vector<double>, double> step(const std::vector<double>& theta) const {
    const size_t k = d + 1;
    std::vector<double> gradient(k, 0.0), hessian(k * k, 0.0), row(k, 1.0);
    for (size_t i = 0; i < labels.size(); ++i) {
      const double p = 1 / (1 + std::exp(-score(theta, i))), w = p * (1 - p);
      std::copy_n(&z[i * d], d, row.begin());
      for (size_t a = 0; a < k; ++a) {
        gradient[a] += (p - labels[i]) * row[a];
        for (size_t b = 0; b <= a; ++b) hessian[a * k + b] += w * row[a] * row[b];
      }
    }
    for (size_t j = 0; j < d; ++j) gradient[j] += ridge * theta[j], hessian[j * k + j] += ridge;
    for (size_t a = 0; a < k; ++a)
      for (size_t b = a + 1; b < k; ++b) hessian[a * k + b] = hessian[b * k + a];
    double size = 0;
    for (const double g : gradient) size = std::max(size, std::fabs(g));
    return {solve(hessian, gradient), size};
  }
};

}  // namespace

double LogisticModel::logit(std::span<const double> x) const {
  double s = intercept;
  for (size_t j = 0; j < weights.size(); ++j) s += weights[j] * (x[j] - mean[j]) / sd[j];
  return s;
}

LogisticModel fit_logistic(std::span<const double> x, std::span<const int32_t> labels, size_t d, double ridge) {
  const size_t n = labels.size();
  const auto positives = std::count(labels.begin(), labels.end(), 1);
  REQUIRE_THAT(d > 0 && x.size() == n * d && positives > 0 && size_t(positives) < n && ridge > 0, "fit_logistic: ", x.size(), " numbers, ",
               n, " labels of which ", positives, " are 1, ", d, " features");
  LogisticModel m;
  m.mean.assign(d, 0), m.sd.assign(d, 1), m.weights.assign(d, 0);
  std::vector<double> z(n * d, 0.0);
  for (size_t j = 0; j < d; ++j) {
    statistics::Sum sum, squares;
    for (size_t i = 0; i < n; ++i) sum.add(x[i * d + j]);
    m.mean[j] = sum.value() / double(n);
    for (size_t i = 0; i < n; ++i) squares.add((x[i * d + j] - m.mean[j]) * (x[i * d + j] - m.mean[j]));
    const double sd = std::sqrt(squares.value() / double(n));
    if (!(sd > 1e-12 * std::max(1.0, std::fabs(m.mean[j])))) continue;  // no spread: the column stays 0
    m.sd[j] = sd;
    for (size_t i = 0; i < n; ++i) z[i * d + j] = (x[i * d + j] - m.mean[j]) / sd;
  }
  const Problem problem{z, labels, d, ridge};
  std::vector<double> theta(d + 1, 0.0);
  double loss = problem.loss(theta);
  for (int iteration = 0; iteration < 100; ++iteration) {
    const auto [step, gradient] = problem.step(theta);
    if (gradient < 1e-10 * double(n)) break;
    double length = 1;
    std::vector<double> next = theta;
    for (; length > 1e-6; length /= 2) {
      for (size_t a = 0; a <= d; ++a) next[a] = theta[a] - length * step[a];
      if (problem.loss(next) <= loss) break;
    }
    if (length <= 1e-6) break;
    theta = next, loss = problem.loss(theta);
  }
  std::copy_n(theta.begin(), d, m.weights.begin());
  m.intercept = theta[d];
  return m;
}

}  // namespace ptrain
