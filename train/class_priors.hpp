// defines: the class shares that a model's probabilities are meant for: training_priors(), set_priors(), with_priors()
#pragma once

#include <span>
#include <vector>

#include "train/model.hpp"

namespace ptrain {

// The class shares that the training saw, its class weights included; equal ones when the model does not say.
std::vector<double> training_priors(const ModelSpec& spec);
// The same for a training part with these images and weights of each class; {} when the training did not see one of them.
std::vector<double> seen_priors(std::span<const int64_t> counts, std::span<const float> class_weights);

// Makes the model one for images with other class shares (prior_shift.hpp), each above 0, of sum 1 ± 1e-6; {} takes that back. A threshold
// that a rule chose (youden, sens=, spec=) moves with the probability that it stands for: what it decides and its sensitivity and
// specificity stay. A threshold that is a probability stays, and what it decides changes.
void set_priors(ModelSpec& spec, std::vector<double> priors);

// Probabilities as the training leaves them (images × classes, temperature applied), adjusted to the model's shares.
std::vector<double> with_priors(const ModelSpec& spec, std::vector<double> probabilities);

// Rewrites a model file for other class shares. Error{usage} for a checkpoint, whose state would be lost.
void store_priors(const std::filesystem::path& model, const std::vector<double>& priors);

}  // namespace ptrain
