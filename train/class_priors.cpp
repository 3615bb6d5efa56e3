#include "train/class_priors.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "train/prior_shift.hpp"

namespace ptrain {
namespace {

bool is_chosen_by_rule(const ModelSpec& spec) {
  return spec.operating_point == "youden" || spec.operating_point.starts_with("sens=") || spec.operating_point.starts_with("spec=");
}

}  // namespace

std::vector<double> training_priors(const ModelSpec& spec) {
  return spec.training_priors.empty() ? std::vector<double>(spec.classes.size(), 1.0 / double(spec.classes.size())) : spec.training_priors;
}

std::vector<double> seen_priors(std::span<const int64_t> counts, std::span<const float> class_weights) {
  std::vector<double> shares;
  for (size_t c = 0; c < counts.size(); ++c) shares.push_back(double(counts[c]) * double(class_weights[c]));
  const double sum = std::accumulate(shares.begin(), shares.end(), 0.0), equal = 1 / double(shares.size());
  if (std::ranges::any_of(shares, [](double s) { return !(s > 0); })) return {};
  for (double& s : shares) s /= sum;
  // Weights are float32: shares that are equal but for their rounding are equal.
  if (std::ranges::all_of(shares, [&](double s) { return std::fabs(s - equal) < 1e-6; })) shares.assign(shares.size(), equal);
  return shares;
}

void set_priors(ModelSpec& spec, std::vector<double> priors) {
  const std::vector<double> seen = training_priors(spec), old = spec.priors.empty() ? seen : spec.priors;
  spec.priors = std::move(priors);
  if (spec.classes.size() != 2 || !is_chosen_by_rule(spec)) return;
  std::vector<double> at{1 - spec.threshold, spec.threshold};
  if (spec.positive == 0) std::swap(at[0], at[1]);
  spec.threshold = adjust_to_priors(at, old, spec.priors.empty() ? seen : spec.priors)[size_t(spec.positive)];
}

std::vector<double> with_priors(const ModelSpec& spec, std::vector<double> probabilities) {
  if (spec.priors.empty() || probabilities.empty()) return probabilities;
  return adjust_to_priors(probabilities, training_priors(spec), spec.priors);
}

void store_priors(const std::filesystem::path& path, const std::vector<double>& priors) {
  const WeightFileReader file(path);
  if (!file.state_names().empty())
    fail(ErrorKind::usage, "storing class shares in ", path.string(),
         ": it is the checkpoint of a training that can go on\n  give the model itself, best.h5");
  Model model(read_spec(file), open_device({DeviceKind::cpu}));
  load_weights(model.params, file);
  set_priors(model.spec, priors);
  save_model(model, path, file.attributes());
}

}  // namespace ptrain
