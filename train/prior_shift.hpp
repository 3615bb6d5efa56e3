// defines: fit_prior_shift(): class frequencies that differ from those of the training
#pragma once

#include <span>
#include <vector>

namespace ptrain {

// p'(class | x) ∝ p(class | x)·prior'(class)/prior(class): right when images of one class look alike in both places and only the class
// frequencies differ, and the probabilities are calibrated.
std::vector<double> adjust_to_priors(std::span<const double> probabilities, std::span<const double> priors,
                                     std::span<const double> new_priors);

// The frequencies in unlabelled images. Saerens, Latinne and Decaestecker, "Adjusting the outputs of a classifier to new a priori
// probabilities", Neural Computation 14 (2002): EM, prior'(class) ← mean of p'(class | x), which raises the likelihood in each step.
struct PriorShift {
  std::vector<double> priors;         // of the new images
  std::vector<double> probabilities;  // adjusted to them
  int iterations = 0;
  bool converged = false;       // the priors moved by less than 1e-10 in the last step
  double likelihood_ratio = 0;  // 2·log(likelihood at the new priors / at the old ones), ≥ 0
  double p = 1;                 // of "the priors are the old ones": likelihood_ratio against χ² with classes − 1 degrees
};

// probabilities: images × classes, of a model whose training (with its class weights) saw the classes with `priors`, each > 0, of sum
// 1 ± 1e-6. It looks at all images at once, so what one image is told depends on its companions: an option, never the default.
PriorShift fit_prior_shift(std::span<const double> probabilities, std::span<const double> priors);

}  // namespace ptrain
