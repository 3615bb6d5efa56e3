// defines: first_not_finite_output(), where a forward pass first leaves the numbers
#pragma once

#include "train/base_runner.hpp"

namespace ptrain {

bool all_finite(const Model& model, Exec& exec, Buffer x);

// Runs the model over these images layer by layer, as Keras lists them and in inference, and names the first output that holds an infinity
// or a NaN: "the output of block_3_expand_relu". "" when there is none. Slow: for the message of a training that has failed.
std::string first_not_finite_output(Model& model, Exec& exec, std::span<const int64_t> images, const ImageSource& source, DType compute);

}  // namespace ptrain
