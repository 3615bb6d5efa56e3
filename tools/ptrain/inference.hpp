// defines: LoadedModel, a model file ready to say something about images
#pragma once

#include "tools/ptrain/train_options.hpp"

namespace ptrain::cli {

struct InferenceOptions {
  std::string model;
  std::string precision = "fp32", device = "auto", conv = "auto";
  int64_t threads = 0;
  bool json = false, quiet = false;
};
void bind(Command& command, InferenceOptions& options);

// The model of a file, frozen as a whole, with what runs it.
class LoadedModel {
 public:
  explicit LoadedModel(const InferenceOptions& options);

  Model& model() { return model_; }
  Predictor& predictor() { return predictor_; }
  Workers& workers() { return workers_; }
  DType compute() const { return runner_.options().compute; }
  const std::shared_ptr<Memory>& memory() const { return memory_; }
  int threads() const { return threads_; }
  // Probabilities for these images of a manifest, with a progress bar.
  metrics::Predictions predict(const Manifest& manifest, const ImageCache& cache, std::span<const int64_t> images, const std::string& what,
                               bool quiet);

 private:
  int threads_;
  std::shared_ptr<Memory> memory_;
  Model model_;
  Workers workers_;
  BaseRunner runner_;
  Predictor predictor_;
};

}  // namespace ptrain::cli
