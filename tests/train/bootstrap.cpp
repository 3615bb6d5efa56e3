#include "train/metrics/bootstrap.hpp"

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/metrics/ranking.hpp"

namespace ptrain::metrics {
namespace {

const std::vector<std::string> kPatients{"a", "a", "b", "c", "c", "c", "d", "e"};

void mean_times(std::span<const uint32_t> times, std::span<double> values) {
  values[0] = 0;
  for (size_t i = 0; i < times.size(); ++i) values[0] += double(i + 1) * times[i];
}

}  // namespace

TEST_CASE("the bootstrap draws whole patients and as many as there are") {
  int replicates = 0, seen_twice = 0;
  bootstrap(group_by(kPatients), 1,
            [&](std::span<const uint32_t> times, std::span<double> values) {
              ++replicates;
              CHECK((times[0] == times[1] && times[3] == times[4] && times[4] == times[5]));
              CHECK(times[0] + times[2] + times[3] + times[6] + times[7] == 5);
              seen_twice += times[0] == 2;
              values[0] = 0;
            },
            {.replicates = 500});
  CHECK(replicates == 501);  // the estimate first
  CHECK(seen_twice > 50);    // 0.2 of 500 expected
}

TEST_CASE("strata keep their sizes") {
  bootstrap(group_by(kPatients), 1,
            [](std::span<const uint32_t> times, std::span<double> values) {
              CHECK(times[0] + times[2] == 2);
              CHECK(times[3] + times[6] + times[7] == 3);
              values[0] = 0;
            },
            {.replicates = 100, .strata = {0, 0, 1, 1, 1}});
}

TEST_CASE("the same seed draws the same and another seed does not") {
  const auto low = [](uint64_t seed) { return bootstrap(group_by(kPatients), 1, mean_times, {.replicates = 200, .seed = seed})[0].se; };
  CHECK(low(1) == low(1));
  CHECK(low(1) != low(2));
}

TEST_CASE("percentile and basic intervals mirror each other about the estimate") {
  const BootstrapResult r = bootstrap(group_by(kPatients), 1, mean_times)[0];
  const double estimate = 36;  // 1 + … + 8
  CHECK(r.basic.low == 2 * estimate - r.percentile.high);
  CHECK(r.basic.high == 2 * estimate - r.percentile.low);
  CHECK((r.percentile.contains(estimate) && r.se > 0));
}

TEST_CASE("replicates without a value are left out and too many of them leave no interval") {
  const std::vector<int32_t> labels{1, 0, 0, 0, 0, 0, 0, 0};  // the one positive is not drawn in a third of the replicates
  const std::vector<double> scores{0.5, 0.1, 0.2, 0.3, 0.6, 0.4, 0.1, 0.2};
  const Ranking ranking(labels, scores);
  const auto compute = [&](std::span<const uint32_t> times, std::span<double> values) {
    values[0] = ranking.roc_auc(times), values[1] = times[0];
  };
  const auto r = bootstrap(each_alone(8), 2, compute, {.replicates = 400});
  CHECK(r[0].undefined > 80);
  CHECK((std::isnan(r[0].percentile.low) && std::isnan(r[0].se)));
  CHECK(r[1].undefined == 0);
  CHECK(r[1].se > 0);
}

TEST_CASE("one patient alone has no interval") {
  const auto r = bootstrap(group_by(std::vector<std::string>{"a", "a"}), 1, mean_times, {.replicates = 50});
  CHECK(std::isnan(r[0].percentile.low));
  CHECK(r[0].undefined == 50);
  CHECK_THROWS_AS(bootstrap(group_by(kPatients), 1, mean_times, {.replicates = 1}), Error);
  CHECK_THROWS_AS(bootstrap(group_by(kPatients), 1, mean_times, {.confidence = 1}), Error);
  CHECK_THROWS_AS(bootstrap(group_by(kPatients), 1, mean_times, {.strata = {1, 2}}), Error);
}

}  // namespace ptrain::metrics
