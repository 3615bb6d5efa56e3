// defines: decided_class(), what a model decides
#pragma once

#include <algorithm>
#include <span>

#include "train/model.hpp"

namespace ptrain {

// Of two classes the positive one from the model's threshold on; of more the most likely, the first of equals. Calibrated probabilities.
inline int decided_class(const ModelSpec& spec, std::span<const double> p) {
  if (p.size() == 2) return p[size_t(spec.positive)] >= spec.threshold ? spec.positive : 1 - spec.positive;
  return int(std::max_element(p.begin(), p.end()) - p.begin());
}

}  // namespace ptrain
