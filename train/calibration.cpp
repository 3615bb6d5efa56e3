#include "train/calibration.hpp"

#include <algorithm>
#include <cmath>

#include "kernels/error.hpp"
#include "train/metrics/check.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain {
namespace {

constexpr double kLeast = 0.01, kMost = 100;  // limits of T, and of 1/T

// The mean negative log-likelihood at softmax(beta·z), and its first and second derivative by beta: E[z] − z_label and Var[z].
struct Likelihood {
  double nll, slope, curvature;
};

Likelihood likelihood(std::span<const double> logits, std::span<const int32_t> labels, size_t k, double beta) {
  statistics::Sum nll, slope, curvature;
  for (size_t i = 0; i < labels.size(); ++i) {
    const std::span<const double> z = logits.subspan(i * k, k);
    const double most = *std::ranges::max_element(z), own = z[size_t(labels[i])];
    double total = 0, first = 0, second = 0;
    for (double v : z) {
      const double e = std::exp(beta * (v - most));
      total += e, first += e * (v - most), second += e * (v - most) * (v - most);
    }
    const double mean = first / total;
    nll.add(std::log(total) - beta * (own - most));
    slope.add(mean - (own - most));
    curvature.add(second / total - mean * mean);
  }
  const double n = double(labels.size());
  return {nll.value() / n, slope.value() / n, curvature.value() / n};
}

// The zero of the slope, which grows with beta, inside [low, high]; the nearer end when there is none.
double best_beta(std::span<const double> logits, std::span<const int32_t> labels, size_t k) {
  double low = 1 / kMost, high = 1 / kLeast, beta = 1;
  if (likelihood(logits, labels, k, low).slope >= 0) return low;
  if (likelihood(logits, labels, k, high).slope <= 0) return high;
  for (int i = 0; i < 200 && high - low > 1e-12 * beta; ++i) {
    const Likelihood at = likelihood(logits, labels, k, beta);
    if (at.slope == 0) return beta;
    (at.slope < 0 ? low : high) = beta;
    const double newton = beta - at.slope / at.curvature;
    if (std::fabs(newton - beta) <= 1e-13 * beta) return beta;
    beta = newton > low && newton < high ? newton : std::sqrt(low * high);  // outside, or no curvature: halve the ratio
  }
  return beta;
}

void check_logits(const char* what, std::span<const double> logits, int classes) {
  REQUIRE_THAT(classes >= 2 && !logits.empty() && logits.size() % size_t(classes) == 0, what, ": ", logits.size(), " logits of ", classes, " classes");
  metrics::check_finite(what, logits);
}

}  // namespace

Temperature fit_temperature(std::span<const double> logits, std::span<const int32_t> labels, int classes) {
  check_logits("fit_temperature", logits, classes);
  const size_t k = size_t(classes);
  REQUIRE_THAT(logits.size() == labels.size() * k, "fit_temperature: ", labels.size(), " labels and ", logits.size(), " logits of ", classes, " classes");
  for (int32_t label : labels) REQUIRE_THAT(label >= 0 && label < classes, "fit_temperature: label ", label, " of ", classes, " classes");
  const Likelihood before = likelihood(logits, labels, k, 1);
  Temperature t{1, before.nll, before.nll, false};
  if (before.curvature == 0 && before.slope == 0) return t;  // all logits of each image are equal: T changes nothing
  const double beta = best_beta(logits, labels, k);
  const double nll = likelihood(logits, labels, k, beta).nll;
  if (nll < before.nll) t.temperature = 1 / beta, t.nll_after = nll;
  t.at_limit = beta <= 1 / kMost || beta >= 1 / kLeast;
  return t;
}

std::vector<double> apply_temperature(std::span<const double> logits, int classes, double temperature) {
  check_logits("apply_temperature", logits, classes);
  REQUIRE_THAT(temperature > 0 && std::isfinite(temperature), "apply_temperature: a temperature of ", temperature);
  std::vector<double> p(logits.size());
  const size_t k = size_t(classes);
  for (size_t at = 0; at < logits.size(); at += k) {
    const std::span<const double> z = logits.subspan(at, k);
    const double most = *std::ranges::max_element(z);
    double total = 0;
    for (size_t c = 0; c < k; ++c) total += p[at + c] = std::exp((z[c] - most) / temperature);
    for (size_t c = 0; c < k; ++c) p[at + c] /= total;
  }
  return p;
}

std::vector<double> logits_of(std::span<const double> probabilities) {
  metrics::check_finite("logits_of", probabilities);
  std::vector<double> logits(probabilities.size());
  std::ranges::transform(probabilities, logits.begin(), [](double p) { return std::log(std::max(p, 1e-38)); });
  return logits;
}

}  // namespace ptrain
