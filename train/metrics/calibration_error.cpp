#include "train/metrics/calibration_error.hpp"

#include <vector>

#include "kernels/error.hpp"
#include "train/statistics/quantile.hpp"
#include "train/statistics/random.hpp"

namespace ptrain::metrics {

double chance_calibration_error(std::span<const double> scores, const Groups& groups, double quantile, int replicates, uint64_t seed) {
  REQUIRE_THAT(scores.size() == groups.of_image.size() && replicates > 0, "calibration error of ", scores.size(), " scores of ",
               groups.of_image.size(), " images, ", replicates, " replicates");
  std::vector<double> errors, luck(groups.count());
  for (int replicate = 0; replicate < replicates; ++replicate) {
    statistics::RandomStream random(seed, Purpose::bootstrap, 1, uint32_t(replicate));
    for (double& u : luck) u = random.unit();
    CalibrationError error;
    for (size_t i = 0; i < scores.size(); ++i) error.add(scores[i], luck[groups.of_image[i]] < scores[i], 1);
    errors.push_back(error.value());
  }
  std::ranges::sort(errors);
  return statistics::quantile(errors, quantile);
}

}  // namespace ptrain::metrics
