#include "train/metrics/bootstrap.hpp"

#include <algorithm>
#include <cmath>
#include <map>

#include "kernels/error.hpp"
#include "train/statistics/quantile.hpp"
#include "train/statistics/random.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::metrics {
namespace {

// The patients of each stratum.
std::vector<std::vector<uint32_t>> strata_of(const Groups& groups, const std::vector<int32_t>& strata) {
  REQUIRE_THAT(strata.empty() || strata.size() == groups.count(), "bootstrap: ", strata.size(), " strata for ", groups.count(), " patients");
  std::map<int32_t, std::vector<uint32_t>> members;
  for (uint32_t g = 0; g < groups.count(); ++g) members[strata.empty() ? 0 : strata[g]].push_back(g);
  std::vector<std::vector<uint32_t>> lists;
  for (auto& [stratum, list] : members) lists.push_back(std::move(list));
  return lists;
}

BootstrapResult summary(double estimate, std::vector<double> values, int replicates, double confidence) {
  BootstrapResult r;
  std::erase_if(values, [](double v) { return std::isnan(v); });
  r.undefined = replicates - int(values.size());
  if (r.undefined * 20 > replicates || std::isnan(estimate)) return r;
  std::ranges::sort(values);
  const double tail = (1 - confidence) / 2;
  r.percentile = {statistics::quantile(values, tail), statistics::quantile(values, 1 - tail)};
  r.basic = {2 * estimate - r.percentile.high, 2 * estimate - r.percentile.low};
  statistics::Sum sum, squares;
  for (double v : values) sum.add(v);
  const double mean = sum.value() / double(values.size());
  for (double v : values) squares.add((v - mean) * (v - mean));
  r.se = std::sqrt(squares.value() / double(values.size() - 1));
  return r;
}

}  // namespace

std::vector<BootstrapResult> bootstrap(const Groups& groups, size_t count, const Statistics& compute, const BootstrapOptions& options) {
  REQUIRE_THAT(options.replicates >= 2, "bootstrap: ", options.replicates, " replicates");
  REQUIRE_THAT(options.confidence > 0 && options.confidence < 1, "bootstrap: a confidence of ", options.confidence);
  std::vector<BootstrapResult> results(count);
  if (groups.count() < 2) {
    for (BootstrapResult& r : results) r.undefined = options.replicates;
    return results;
  }
  const std::vector<std::vector<uint32_t>> strata = strata_of(groups, options.strata);
  std::vector<std::vector<double>> values(count);
  std::vector<uint32_t> of_patient(groups.count()), times(groups.of_image.size(), 1);
  std::vector<double> estimate(count), row(count);
  compute(times, estimate);
  for (int replicate = 0; replicate < options.replicates; ++replicate) {
    statistics::RandomStream random(options.seed, Purpose::bootstrap, 0, uint32_t(replicate));
    std::ranges::fill(of_patient, 0u);
    for (const std::vector<uint32_t>& members : strata)
      for (size_t i = 0; i < members.size(); ++i) ++of_patient[members[random.below(members.size())]];
    for (size_t i = 0; i < times.size(); ++i) times[i] = of_patient[groups.of_image[i]];
    compute(times, row);
    for (size_t s = 0; s < count; ++s) values[s].push_back(row[s]);
  }
  for (size_t s = 0; s < count; ++s) results[s] = summary(estimate[s], std::move(values[s]), options.replicates, options.confidence);
  return results;
}

}  // namespace ptrain::metrics
