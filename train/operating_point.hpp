// defines: OperatingPoint, the rule that chooses a decision threshold, as the command line spells it
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "train/metrics/threshold.hpp"

namespace ptrain {

enum class OperatingRule : uint8_t { youden, sensitivity, specificity, fixed };

struct OperatingPoint {
  OperatingRule rule = OperatingRule::youden;
  double target = 0;  // the sensitivity or specificity wanted, or the fixed threshold

  std::string text() const;  // as parse_operating_point() reads it
};

// "youden", "sens=0.95", "spec=0.9", or a threshold such as "0.5". Error{usage} for anything else.
OperatingPoint parse_operating_point(std::string_view text);

// The threshold on these images (of the validation part) and the counts there. Error{data} when they are of one class and the rule has
// to weigh two.
metrics::ChosenThreshold choose_threshold(const OperatingPoint& point, std::span<const int32_t> labels, std::span<const double> scores);

}  // namespace ptrain
