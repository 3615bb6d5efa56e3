// defines: LogisticModel and fit_logistic(), a regression on a few features
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace ptrain {

// P(label 1) = 1 / (1 + exp(−(intercept + Σ weight·(x − mean)/sd))). Features without spread have weight 0.
struct LogisticModel {
  std::vector<double> mean, sd, weights;  // of each feature
  double intercept = 0;
  double logit(std::span<const double> x) const;
};

// Minimises Σ log loss + ½·ridge·|weights|² over rows of x (n × d, standardised by their own mean and deviation, n divisor) by Newton's
// method with step halving: the solution of scikit-learn's LogisticRegression(C = 1/ridge) on StandardScaler's output. The ridge keeps it
// finite when the classes can be separated. Error{failed} for sizes that do not fit or a single class.
LogisticModel fit_logistic(std::span<const double> x, std::span<const int32_t> labels, size_t features, double ridge = 1);

}  // namespace ptrain
