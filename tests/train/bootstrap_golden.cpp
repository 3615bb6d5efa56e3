// The bootstrap against the golden files' own control: 2000 resamples, positives and negatives drawn apart, another generator.
#include "tests/support/support.hpp"
#include "train/metrics/bootstrap.hpp"
#include "train/metrics/delong.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain::metrics {

TEST_CASE("bootstrap of an AUC agrees with numpy's and with DeLong") {
  NEEDS_GOLDENS("metrics/metrics.json");
  const nlohmann::json golden = test::read_json(test::shared() / "keras/metrics/metrics.json");
  int seen = 0;
  for (const auto& g : golden["sets"]) {
    if (!g.contains("bootstrap_check")) continue;
    ++seen;
    CAPTURE(g["name"].get<std::string>());
    const std::vector<int32_t> labels = g["labels"];
    const std::vector<double> scores = g["scores"];
    const Ranking ranking(labels, scores);
    const auto auc = [&](std::span<const uint32_t> times, std::span<double> values) { values[0] = ranking.roc_auc(times); };
    const BootstrapResult r = bootstrap(each_alone(labels.size()), 1, auc, {.replicates = 2000, .seed = 3, .strata = labels})[0];
    const auto& want = g["bootstrap_check"];
    const double se = want["se"];
    CHECK(r.undefined == 0);
    // Both are estimates from 2000 replicates: the standard error of a standard deviation is sd/sqrt(2·2000), of a 2.5 % quantile of a
    // normal distribution sd·sqrt(0.025·0.975/2000)/0.0584. Four of them, times sqrt(2) for two estimates.
    CHECK(test::close(r.se, se, 4 * std::sqrt(2.0) * se / std::sqrt(4000.0), 0));
    const double quantile_error = 4 * std::sqrt(2.0) * se * std::sqrt(0.025 * 0.975 / 2000) / 0.0584;
    CHECK(test::close(r.percentile.low, want["percentile95"][0], quantile_error, 0));
    CHECK(test::close(r.percentile.high, want["percentile95"][1], quantile_error, 0));
    CHECK(test::close(r.se, delong(labels, scores).se, 0, 0.08));
  }
  CHECK(seen >= 2);
}

}  // namespace ptrain::metrics
