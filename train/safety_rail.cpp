#include "train/safety_rail.hpp"

#include <cmath>

#include <fmt/format.h>

#include "kernels/error.hpp"
#include "train/decision.hpp"
#include "train/metrics/patients.hpp"
#include "train/metrics/probability.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain {
namespace {

// −log P(label) of each image, at the temperature that suits these images best.
std::vector<double> calibrated_losses(const metrics::Predictions& p) {
  const size_t k = p.classes.size();
  const metrics::Predictions calibrated = at_temperature(p, best_temperature(p).temperature);
  std::vector<double> losses;
  for (size_t i = 0; i < p.size(); ++i) losses.push_back(metrics::log_loss_of(calibrated.probabilities[i * k + size_t(p.labels[i])]));
  return losses;
}

double mean(std::span<const double> values) {
  statistics::Sum sum;
  for (const double v : values) sum.add(v);
  return sum.value() / double(values.size());
}

// Of the mean of `values`, whose errors may be alike within a group. NaN for one group alone.
double grouped_standard_error(std::span<const double> values, const metrics::Groups& groups) {
  const double centre = mean(values), g = double(groups.count());
  std::vector<double> sums(groups.count());
  for (size_t i = 0; i < values.size(); ++i) sums[groups.of_image[i]] += values[i] - centre;
  statistics::Sum squares;
  for (const double s : sums) squares.add(s * s);
  return g < 2 ? metrics::kUndefined : std::sqrt(g / (g - 1) * squares.value()) / double(values.size());
}

bool finite(const metrics::Predictions& p) {
  for (const double v : p.probabilities)
    if (!std::isfinite(v)) return false;
  return !p.probabilities.empty();
}

std::string sentence(const SafetyRail& r) {
  std::string text = fmt::format(
      "validation AUC {:.4f} before and {:.4f} after ({}), log loss {:.4f} before and {:.4f} after, a difference of {:+.4f} with a "
      "standard error of {:.4f} over {} patients ({}): ",
      r.auc_before, r.auc_after,
      r.auc_holds                  ? "not lower"
      : r.auc_after < r.auc_before ? "lower"
                                   : "undefined",
      r.log_loss_before, r.log_loss_after, r.difference, r.standard_error, r.patients,
      r.log_loss_holds                                                 ? "not higher beyond the noise"
      : std::isfinite(r.difference) && std::isfinite(r.standard_error) ? "higher beyond the noise"
                                                                       : "undefined");
  return text + (r.kept() ? "fine-tuning is kept" : "the model before fine-tuning is kept");
}

}  // namespace

SafetyRail safety_rail(const Contender& before, const Contender& after) {
  const metrics::Predictions &a = before.validation, &b = after.validation;
  REQUIRE_THAT(a.labels == b.labels && a.classes == b.classes && a.patients == b.patients,
               "comparing models before and after fine-tuning: they were not shown the same images");
  SafetyRail r{.auc_before = before.auc, .auc_after = after.auc};
  r.log_loss_before = r.log_loss_after = r.difference = r.standard_error = metrics::kUndefined;
  const metrics::Groups groups = a.patients.empty() ? metrics::each_alone(a.size()) : metrics::group_by(a.patients);
  r.patients = groups.count();
  if (finite(a) && finite(b)) {
    const std::vector<double> old = calibrated_losses(a), now = calibrated_losses(b);
    std::vector<double> differences(old.size());
    for (size_t i = 0; i < old.size(); ++i) differences[i] = now[i] - old[i];
    r.log_loss_before = mean(old), r.log_loss_after = mean(now), r.difference = mean(differences);
    r.standard_error = grouped_standard_error(differences, groups);
  }
  r.auc_holds = r.auc_after >= r.auc_before;
  r.log_loss_holds = r.difference <= r.standard_error;
  r.why = sentence(r);
  return r;
}

nlohmann::ordered_json to_json(const SafetyRail& r) {
  const auto number = [](double x) { return std::isfinite(x) ? nlohmann::ordered_json(x) : nlohmann::ordered_json(nullptr); };
  return {{"auc_before", number(r.auc_before)},
          {"auc_after", number(r.auc_after)},
          {"auc_holds", r.auc_holds},
          {"log_loss_before", number(r.log_loss_before)},
          {"log_loss_after", number(r.log_loss_after)},
          {"log_loss_difference", number(r.difference)},
          {"log_loss_standard_error", number(r.standard_error)},
          {"patients", r.patients},
          {"log_loss_holds", r.log_loss_holds},
          {"rule",
           "kept when the AUC is not lower and the log loss, each model at its own temperature, is not higher by more than one standard "
           "error of the paired difference by patient"}};
}

}  // namespace ptrain
