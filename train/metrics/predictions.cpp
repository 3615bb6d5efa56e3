#include "train/metrics/predictions.hpp"

#include <algorithm>

#include "train/metrics/check.hpp"

namespace ptrain::metrics {

std::vector<double> Predictions::scores(int of_class) const {
  std::vector<double> column(size());
  for (size_t i = 0; i < size(); ++i) column[i] = probabilities[i * classes.size() + size_t(of_class)];
  return column;
}

std::vector<int32_t> Predictions::labels_against(int of_class) const {
  std::vector<int32_t> binary(size());
  std::ranges::transform(labels, binary.begin(), [of_class](int32_t label) { return int32_t(label == of_class); });
  return binary;
}

std::vector<int32_t> Predictions::most_likely() const {
  std::vector<int32_t> best(size());
  const auto k = std::ptrdiff_t(classes.size());
  for (size_t i = 0; i < size(); ++i) {
    const auto row = probabilities.begin() + std::ptrdiff_t(i) * k;
    best[i] = int32_t(std::max_element(row, row + k) - row);
  }
  return best;
}

void check(const Predictions& p) {
  const size_t n = p.size(), k = p.classes.size();
  REQUIRE_THAT(k >= 2, "predictions of ", k, " classes");
  REQUIRE_THAT(n > 0, "there are no predictions to evaluate");
  REQUIRE_THAT(p.probabilities.size() == n * k, "predictions: ", n, " labels, ", k, " classes and ", p.probabilities.size(), " probabilities");
  REQUIRE_THAT(p.patients.empty() || p.patients.size() == n, "predictions: ", n, " labels and ", p.patients.size(), " patients");
  check_finite("predictions", p.probabilities);
  for (size_t i = 0; i < n; ++i) {
    REQUIRE_THAT(p.labels[i] >= 0 && size_t(p.labels[i]) < k, "predictions: label ", p.labels[i], " of image ", i, " is none of ", k, " classes");
    double sum = 0;
    for (size_t c = 0; c < k; ++c) {
      const double v = p.probabilities[i * k + c];
      REQUIRE_THAT(v >= 0 && v <= 1, "predictions: ", v, " of image ", i, " is not a probability");
      sum += v;
    }
    REQUIRE_THAT(std::fabs(sum - 1) <= 1e-3, "predictions: the probabilities of image ", i, " sum to ", sum);
  }
}

}  // namespace ptrain::metrics
