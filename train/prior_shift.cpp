#include "train/prior_shift.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "kernels/error.hpp"
#include "train/metrics/check.hpp"
#include "train/statistics/chi_square.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain {
namespace {

using statistics::Sum;

void check_priors(std::span<const double> probabilities, std::span<const double> priors) {
  const size_t k = priors.size();
  REQUIRE_THAT(k >= 2 && !probabilities.empty() && probabilities.size() % k == 0, "prior shift: ", probabilities.size(), " probabilities and ", k, " priors");
  metrics::check_finite("prior shift", probabilities);
  double sum = 0;
  for (double prior : priors) {
    REQUIRE_THAT(prior > 0 && prior <= 1, "prior shift: a prior of ", prior);
    sum += prior;
  }
  REQUIRE_THAT(std::fabs(sum - 1) <= 1e-6, "prior shift: the priors sum to ", sum);
  for (size_t i = 0; i < probabilities.size(); i += k)
    REQUIRE_THAT(std::ranges::any_of(probabilities.subspan(i, k), [](double p) { return p > 0; }), "prior shift: image ", i / k, " has no probability above 0");
}

// Writes row · ratio, normalised; returns what it was divided by.
double adjust_row(std::span<const double> row, std::span<const double> ratio, std::span<double> to) {
  double total = 0;
  for (size_t c = 0; c < row.size(); ++c) total += to[c] = row[c] * ratio[c];
  for (double& p : to) p /= total;
  return total;
}

std::vector<double> ratios(std::span<const double> new_priors, std::span<const double> priors) {
  std::vector<double> r(priors.size());
  std::ranges::transform(new_priors, priors, r.begin(), std::divides<>());
  return r;
}

}  // namespace

std::vector<double> adjust_to_priors(std::span<const double> probabilities, std::span<const double> priors, std::span<const double> new_priors) {
  check_priors(probabilities, priors);
  REQUIRE_THAT(new_priors.size() == priors.size(), "prior shift: ", priors.size(), " priors and ", new_priors.size(), " new ones");
  for (double prior : new_priors) REQUIRE_THAT(prior > 0 && std::isfinite(prior), "prior shift: a new prior of ", prior);
  const std::vector<double> ratio = ratios(new_priors, priors);
  std::vector<double> adjusted(probabilities.size());
  for (size_t i = 0; i < adjusted.size(); i += ratio.size())
    adjust_row(probabilities.subspan(i, ratio.size()), ratio, std::span(adjusted).subspan(i, ratio.size()));
  return adjusted;
}

PriorShift fit_prior_shift(std::span<const double> probabilities, std::span<const double> priors) {
  check_priors(probabilities, priors);
  constexpr int kMostIterations = 10000;
  const size_t k = priors.size(), images = probabilities.size() / k;
  PriorShift r;
  r.priors.assign(priors.begin(), priors.end());
  r.probabilities.resize(probabilities.size());
  const auto adjust = [&] {  // to r.priors; returns the log of the likelihood ratio
    const std::vector<double> ratio = ratios(r.priors, priors);
    Sum log_likelihood;
    for (size_t i = 0; i < images; ++i)
      log_likelihood.add(std::log(adjust_row(probabilities.subspan(i * k, k), ratio, std::span(r.probabilities).subspan(i * k, k))));
    return log_likelihood.value();
  };
  const double at_start = adjust();  // 0 but for rows that do not sum to 1 exactly
  double now = at_start;
  while (!r.converged && r.iterations < kMostIterations) {
    double moved = 0;
    for (size_t c = 0; c < k; ++c) {
      Sum column;
      for (size_t i = 0; i < images; ++i) column.add(r.probabilities[i * k + c]);
      const double prior = column.value() / double(images);
      moved = std::max(moved, std::fabs(prior - r.priors[c]));
      r.priors[c] = prior;
    }
    now = adjust();
    ++r.iterations;
    r.converged = moved < 1e-10;
  }
  r.likelihood_ratio = std::max(0.0, 2 * (now - at_start));
  r.p = statistics::chi_square_survival(r.likelihood_ratio, int(k) - 1);
  return r;
}

}  // namespace ptrain
