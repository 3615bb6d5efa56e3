#include "train/operating_point.hpp"

#include <charconv>

#include "kernels/error.hpp"

namespace ptrain {
namespace {

double share(std::string_view field, std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size() || !(value >= 0 && value <= 1))
    fail(ErrorKind::usage, "--operating-point ", text, ": give youden, sens=S, spec=S or a threshold, with numbers from 0 to 1, such as sens=0.95");
  return value;
}

}  // namespace

std::string OperatingPoint::text() const {
  char digits[32];
  const std::string number(digits, std::to_chars(digits, digits + sizeof digits, target).ptr);
  switch (rule) {
    case OperatingRule::youden: return "youden";
    case OperatingRule::sensitivity: return "sens=" + number;
    case OperatingRule::specificity: return "spec=" + number;
    case OperatingRule::fixed: return number;
  }
  return "";
}

OperatingPoint parse_operating_point(std::string_view text) {
  if (text == "youden") return {};
  for (const auto& [prefix, rule] : {std::pair("sens=", OperatingRule::sensitivity), std::pair("spec=", OperatingRule::specificity)}) {
    if (!text.starts_with(prefix)) continue;
    const double target = share(text.substr(5), text);
    if (target == 0) fail(ErrorKind::usage, "--operating-point ", text, ": a target of 0 asks for nothing");
    return {rule, target};
  }
  return {OperatingRule::fixed, share(text, text)};
}

metrics::ChosenThreshold choose_threshold(const OperatingPoint& point, std::span<const int32_t> labels, std::span<const double> scores) {
  switch (point.rule) {
    case OperatingRule::youden: return metrics::youden_threshold(labels, scores);
    case OperatingRule::sensitivity: return metrics::threshold_for_sensitivity(labels, scores, point.target);
    case OperatingRule::specificity: return metrics::threshold_for_specificity(labels, scores, point.target);
    case OperatingRule::fixed: break;
  }
  return {point.target, point.target, metrics::confusion_at(labels, scores, point.target)};
}

}  // namespace ptrain
