// defines: Predictions, what a model said about labelled images
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace ptrain::metrics {

struct Predictions {
  std::vector<std::string> classes;   // at least two
  std::vector<int32_t> labels;        // of image i, an index into classes
  std::vector<double> probabilities;  // images × classes; each row sums to 1
  std::vector<std::string> patients;  // of image i; empty when they are not known

  size_t size() const { return labels.size(); }
  std::vector<double> scores(int of_class) const;           // one column of the probabilities
  std::vector<int32_t> labels_against(int of_class) const;  // 1 where the label is this class, else 0
  std::vector<int32_t> most_likely() const;                 // of each row; the first of equally likely classes, as numpy.argmax
};

// Sizes fit, labels are classes, rows sum to 1 ± 1e-3. Error{diverged} for a probability that is not finite, else Error{failed}.
void check(const Predictions& predictions);

}  // namespace ptrain::metrics
