// defines: Model, a base with its pooling and a head, and what is known about them
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "layers/weight_file.hpp"
#include "nets/build.hpp"
#include "nets/head.hpp"

namespace ptrain {

struct ModelSpec {
  std::string net;
  std::string preprocessing = {};  // of the images; empty: as the net's own
  int64_t height = 0, width = 0;
  HeadOptions head;
  std::vector<std::string> classes;
  bool classes_named = true;                 // false: a converted head, whose file did not say what its outputs are called
  int positive = 1;                          // index of the class that sensitivity speaks of
  double threshold = 0.5;                    // of the positive class's probability, chosen on validation
  double temperature = 1;                    // logits are divided by it
  std::string operating_point = {};          // the rule that chose the threshold; empty: it is a probability like any other
  std::vector<double> training_priors = {};  // class shares that the training saw, its class weights included; empty: equal ones
  std::vector<double> priors = {};           // class shares that probabilities and threshold are adjusted to; empty: those of the training
};

// Everything that a pass needs. The parameters are on one device; several threads may read them at a time.
class Model {
 public:
  Model(ModelSpec spec, const std::shared_ptr<Memory>& memory, DType dtype = DType::float32);

  Tensor body(Scope& s, const Tensor& x) const { return s.global_avg_pool(net_->features(s, x), "gap"); }  // images [n,h,w,3] → [n,c]
  Tensor head(Scope& s, const Tensor& pooled) const { return ptrain::head(s, pooled, spec.head); }         // [n,c] → logits

  const NetInfo& net() const { return *net_; }
  std::string preprocessing() const { return spec.preprocessing.empty() ? net_->preprocess : spec.preprocessing; }
  const std::vector<Layer>& base_layers() const { return layers_; }  // Keras' model.layers of the base, without top
  Shape input(int64_t n) const { return {n, spec.height, spec.width, 3}; }
  int64_t features() const { return layers_.back().output[3]; }  // channels after pooling
  const std::shared_ptr<Memory>& memory() const { return memory_; }

  ModelSpec spec;
  Params params;

 private:
  const NetInfo* net_;
  std::shared_ptr<Memory> memory_;
  std::vector<Layer> layers_;
};

// Freezes base layers [0, cut) in Keras' order and the whole base when cut is their number. The head is always trained.
void freeze_below(Model& model, size_t cut);
size_t cut_for_top_fraction(const Model& model, double fraction);  // base.layers[int((1 − fraction)·n):] is trained

// The base computes in `dtype`, from working copies of its kernels. The head, the loss and the weights that are trained stay as they are.
void set_precision(Model& model, DType dtype);

// Fills the base from a file or by the formula ("none", "formula", "formula:SALT", or a path), and initialises the head.
// Returns the names of layers in the file that were left out: the ImageNet top.
std::vector<std::string> load_base(Model& model, const std::string& weights, uint64_t seed);

// The model file. `extra` attributes are stored beside those of the spec.
void save_model(const Model& model, const std::filesystem::path& path, const Attributes& extra = {});
void write_model(const Model& model, WeightFileWriter& file);
ModelSpec read_spec(const WeightFileReader& file);  // Error{weights} when the file has no head or no classes
Model load_model(const std::filesystem::path& path, const std::shared_ptr<Memory>& memory);

}  // namespace ptrain
