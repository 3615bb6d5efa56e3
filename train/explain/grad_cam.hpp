// defines: GradCam, where in an image a model saw a class, by the gradient
#pragma once

#include <functional>
#include <span>

#include "train/explain/heat_map.hpp"
#include "train/model.hpp"

namespace ptrain {

// Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization", ICCV 2017:
//   map[i,j] = max(0, Σ_k α_k A[i,j,k]),  α_k = mean over i,j of ∂score/∂A[i,j,k]
// A is the output of a layer, `score` the class' score before the softmax. The map has A's height and width; it says what raised the
// score of this class, not what a disease looks like.
class GradCam {
 public:
  struct Result {
    HeatMap map;
    int of_class = 0;
    std::vector<double> logits;   // of all classes
    std::vector<double> weights;  // α, one a channel
  };
  // Which class is explained, given the scores.
  using ChooseClass = std::function<int(std::span<const double> logits)>;

  // `layer`: a Keras layer of the base with a height and a width; "": the last one, which is fused and fast. The model must be frozen as
  // a whole. Error{usage} lists near names.
  explicit GradCam(Model& model, std::string layer = "");

  // x: one preprocessed image [1, h, w, 3] of the model's size. Several threads may call it, each with its own exec.
  Result operator()(Exec& exec, const Tensor& x, const ChooseClass& choose) const;
  const std::string& layer() const { return layer_; }

 private:
  Model& model_;
  std::string layer_;
  bool last_;
  mutable FrozenWeights packed_;
};

}  // namespace ptrain
