// defines: class_weights(), how much each class counts in the loss
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ptrain {

// Reads the option --class-weights. "auto": n / (classes·n_c), as scikit-learn's "balanced", so that each class has the same sum of weights
// and the mean over images is 1; "none": 1 each; "a,b,…": one number ≥ 0 a class, in the order of the classes, not all 0.
// counts[c]: training images of class c. Error{usage} for a text that is none of these, Error{data} for "auto" with an empty class.
std::vector<float> class_weights(std::string_view text, std::span<const int64_t> counts, std::span<const std::string> classes);

}  // namespace ptrain
