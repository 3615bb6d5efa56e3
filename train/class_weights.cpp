#include "train/class_weights.hpp"

#include <charconv>
#include <cmath>
#include <numeric>

#include <fmt/ranges.h>

#include "kernels/error.hpp"

namespace ptrain {
namespace {

std::vector<float> balanced(std::span<const int64_t> counts, std::span<const std::string> classes) {
  const double n = double(std::accumulate(counts.begin(), counts.end(), int64_t(0)));
  std::vector<float> weights;
  for (size_t c = 0; c < counts.size(); ++c) {
    if (counts[c] <= 0)
      fail(ErrorKind::data, "--class-weights auto: class '", classes[c],
           "' has no training image, so its weight would be infinite; add images or give weights");
    weights.push_back(float(n / (double(counts.size()) * double(counts[c]))));
  }
  return weights;
}

float number(std::string_view field, std::string_view text) {
  while (field.starts_with(' ')) field.remove_prefix(1);
  while (field.ends_with(' ')) field.remove_suffix(1);
  float value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  if (error != std::errc() || end != field.data() + field.size() || !std::isfinite(value) || value < 0)
    fail(ErrorKind::usage, "--class-weights ", text, ": '", field,
         "' is not a weight; give auto, none, or one number of 0 or more a class");
  return value;
}

}  // namespace

std::vector<float> class_weights(std::string_view text, std::span<const int64_t> counts, std::span<const std::string> classes) {
  REQUIRE_THAT(counts.size() == classes.size(), "class_weights: ", counts.size(), " counts of ", classes.size(), " classes");
  if (text == "none") return std::vector<float>(counts.size(), 1.0f);
  if (text == "auto") return balanced(counts, classes);
  std::vector<float> weights;
  float sum = 0;
  for (size_t at = 0; at <= text.size();) {
    const size_t comma = std::min(text.find(',', at), text.size());
    weights.push_back(number(text.substr(at, comma - at), text));
    sum += weights.back();
    at = comma + 1;
  }
  if (weights.size() != classes.size())
    fail(ErrorKind::usage, "--class-weights ", text, ": ", weights.size(), " weights for ", classes.size(), " classes (",
         fmt::format("{}", fmt::join(classes, ", ")), ")");
  if (!(sum > 0)) fail(ErrorKind::usage, "--class-weights ", text, ": all weights are 0, so nothing would be learned");
  return weights;
}

}  // namespace ptrain
