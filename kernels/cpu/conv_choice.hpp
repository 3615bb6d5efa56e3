// defines: ConvChoice and ConvAlgorithms: which convolutions of the cpu backend go by Winograd
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/backend.hpp"

namespace ptrain::cpu {

// automatic: a fixed table of costs, so that results do not depend on a measurement; autotune: both are timed, the first time that a shape
// comes; winograd: wherever it is possible.
enum class ConvChoice : uint8_t { automatic, direct, winograd, autotune };
ConvChoice parse_conv_choice(const std::string& text);  // auto, direct, winograd, autotune; else Error{usage}

enum class Algorithm : uint8_t { direct, winograd };
enum class ConvUse : uint8_t { forward, backward_data, backward_filter, frozen };

// The choices of one backend. Any number of threads may ask.
class ConvAlgorithms {
 public:
  void choose(ConvChoice choice) { choice_ = choice; }
  ConvChoice choice() const { return choice_; }
  // `seconds` runs the convolution once and says how long it took; only called when autotuning. Without it the costs decide then too.
  Algorithm of(ConvUse, const ConvShape&, DType, const std::function<double(Algorithm)>& seconds = {});

  // What was measured, one line a shape, and the same read back: then nothing is measured for these shapes.
  std::vector<std::string> tuned() const;
  void recall(const std::vector<std::string>& lines);  // Error{usage} for a line that it does not understand

 private:
  ConvChoice choice_ = ConvChoice::direct;
  mutable std::mutex mutex_;
  std::map<std::string, Algorithm> tuned_;
};

// The choices of a cpu backend; null for any other.
ConvAlgorithms* conv_algorithms(Backend& backend);

}  // namespace ptrain::cpu
