#include "kernels/cpu/conv_choice.hpp"

#include <algorithm>

#include "kernels/cpu/cpu.hpp"
#include "kernels/cpu/vec.hpp"
#include "kernels/cpu/winograd.hpp"

namespace ptrain::cpu {
namespace {

// Costs in multiply-adds of the direct convolution, for each pair of channels. Measured on AMD Zen 4: a product of Winograd's costs
// 1.15 with its transforms; reading the transformed weights once costs as much as ten products where they come from the third-level
// cache and three where they stay in the second; transforming them anew in each call costs as much again.
bool winograd_pays(ConvUse use, const ConvShape& s) {
  if (!kWideVectors || s.c < 32 || s.k < 32) return false;
  const auto tiles = [](int64_t n) { return (n + 3) / 4; };
  const bool cached = winograd_weights_size(s) * int64_t(sizeof(float)) <= 1 << 20, frozen = use == ConvUse::frozen;
  const double n = frozen ? 1 : double(s.n);
  const double weights = (cached ? 3 : 10) * (frozen ? 1 : 2);
  return 36 * (1.15 * n * double(tiles(s.p()) * tiles(s.q())) + weights) < 9 * n * double(s.p() * s.q());
}

const char* const kUses[] = {"forward", "backward_data", "backward_filter", "frozen"};

std::string name_of(ConvUse use, const ConvShape& s) {
  return concat(kUses[int(use)], " ", use == ConvUse::frozen ? 1 : s.n, "x", s.h, "x", s.w, "x", s.c, " to ", s.k, " pad ", s.pad_h, ",",
                s.pad_w, "+", s.more_h, ",", s.more_w);
}

}  // namespace

ConvChoice parse_conv_choice(const std::string& text) {
  if (text == "auto") return ConvChoice::automatic;
  if (text == "direct") return ConvChoice::direct;
  if (text == "winograd") return ConvChoice::winograd;
  if (text == "autotune") return ConvChoice::autotune;
  fail(ErrorKind::usage, "--conv ", text, ": known are auto, direct, winograd, autotune");
}

Algorithm ConvAlgorithms::of(ConvUse use, const ConvShape& s, DType t, const std::function<double(Algorithm)>& seconds) {
  if (choice_ == ConvChoice::direct || !winograd_fits(s, t)) return Algorithm::direct;
  if (choice_ == ConvChoice::winograd) return Algorithm::winograd;
  const Algorithm by_cost = winograd_pays(use, s) ? Algorithm::winograd : Algorithm::direct;
  if (choice_ == ConvChoice::automatic) return by_cost;
  const std::string name = name_of(use, s);
  const std::lock_guard lock(mutex_);
  if (const auto it = tuned_.find(name); it != tuned_.end()) return it->second;
  if (!seconds) return tuned_[name] = by_cost;
  double best[2];
  for (const Algorithm a : {Algorithm::direct, Algorithm::winograd}) {
    double& least = best[int(a)];
    least = seconds(a);
    for (int i = 0; i < 3; ++i) least = std::min(least, seconds(a));
  }
  return tuned_[name] = best[1] < best[0] ? Algorithm::winograd : Algorithm::direct;
}

std::vector<std::string> ConvAlgorithms::tuned() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  for (const auto& [name, algorithm] : tuned_) lines.push_back(name + (algorithm == Algorithm::winograd ? " winograd" : " direct"));
  return lines;
}

void ConvAlgorithms::recall(const std::vector<std::string>& lines) {
  const std::lock_guard lock(mutex_);
  for (const std::string& line : lines) {
    const size_t space = line.rfind(' ');
    const std::string how = space == std::string::npos ? "" : line.substr(space + 1);
    if (how != "winograd" && how != "direct")
      fail(ErrorKind::usage, "a tuned convolution reads '… winograd' or '… direct', not '", line, "'");
    tuned_[line.substr(0, space)] = how == "winograd" ? Algorithm::winograd : Algorithm::direct;
  }
}

ConvAlgorithms* conv_algorithms(Backend& backend) {
  auto* cpu = dynamic_cast<CpuBackend*>(&backend);
  return cpu ? &cpu->algorithms() : nullptr;
}

}  // namespace ptrain::cpu
