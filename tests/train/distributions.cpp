// The distributions against values of mpmath 1.3 with 50 digits.
#include <array>

#include "kernels/error.hpp"
#include "tests/support/support.hpp"
#include "train/statistics/binomial.hpp"
#include "train/statistics/chi_square.hpp"
#include "train/statistics/normal.hpp"
#include "train/statistics/quantile.hpp"
#include "train/statistics/random.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain {
using namespace statistics;
using test::close;

TEST_CASE("normal cdf in the middle and in both tails") {  // mpmath: erfc(-x/sqrt(2))/2 of the double x
  const std::pair<double, double> table[] = {{-30.1, 2.4226672179857587657e-199},
                                             {-20.25, 1.7761998649495700309e-91},
                                             {-12.3, 4.5287069561587846514e-35},
                                             {-8.1, 2.7479593923982284938e-16},
                                             {-5, 2.8665157187919391167e-7},
                                             {-3.3, 0.0004834241423837775071},
                                             {-2.575829303548901, 0.0049999999999999990273},
                                             {-1.959963984540054, 0.025000000000000010876},
                                             {-1, 0.15865525393145705141},
                                             {-0.3, 0.38208857781104736693},
                                             {-1e-10, 0.49999999996010577196},
                                             {0, 0.5},
                                             {1e-5, 0.50000398942280394784},
                                             {0.5, 0.69146246127401310364},
                                             {1.3, 0.90319951541438967446},
                                             {2.7, 0.99653302619695933336},
                                             {4.4, 0.99999458745609229615},
                                             {6.6, 0.99999999997944211091},
                                             {8.2, 0.99999999999999987981}};
  for (const auto& [x, want] : table) {
    CAPTURE(x);
    CHECK(close(normal_cdf(x), want, 0, 1e-15));
    CHECK(close(normal_two_sided_p(x), 2 * normal_cdf(-std::fabs(x)), 0, 1e-15));
  }
  CHECK(normal_cdf(-INFINITY) == 0);
  CHECK(normal_cdf(INFINITY) == 1);
  CHECK(normal_two_sided_p(-INFINITY) == 0);
  CHECK(std::isnan(normal_cdf(NAN)));
}

TEST_CASE("normal quantile inverts the cdf") {  // mpmath: root of erfc(-x/sqrt(2))/2 - p
  const std::pair<double, double> table[] = {
      {1e-300, -37.047096299361199237},     {1e-100, -21.273453560965324294}, {1e-20, -9.2623400897984075796},
      {1e-10, -6.3613409024040561991},      {1e-6, -4.7534243088228989573},   {1e-3, -3.0902323061678135354},
      {0.025, -1.9599639845400542118},      {0.07, -1.4757910281791706856},   {0.0755, -1.436008227944181992},
      {0.3, -0.52440051270804081597},       {0.42, -0.20189347914185089071},  {0.5, 0.0},
      {0.500001, 2.5066282747057051991e-6}, {0.7, 0.52440051270804065631},    {0.925, 1.4395314709384562291},
      {0.95, 1.6448536269514722843},        {0.975, 1.9599639845400538556},   {0.995, 2.5758293035489004539},
      {0.999999, 4.7534243088170877657}};
  for (const auto& [p, want] : table) {
    CAPTURE(p);
    CHECK(close(normal_quantile(p), want, 0, 1e-15));
  }
  CHECK(normal_quantile(0) == -INFINITY);
  CHECK(normal_quantile(1) == INFINITY);
  for (double outside : {-0.1, 1.1, double(NAN)}) CHECK(std::isnan(normal_quantile(outside)));
  CHECK(normal_width(0.95) == doctest::Approx(1.959963984540054).epsilon(1e-15));
  CHECK_THROWS_AS(normal_width(1), Error);
  CHECK_THROWS_AS(normal_width(NAN), Error);
}

TEST_CASE("binomial probabilities and tails keep their digits") {  // mpmath: exact terms and their sum with 60 digits
  struct Row {
    int64_t k, n;
    double p, pmf, cdf;
  };
  const Row table[] = {{0, 10, 0.5, 0.0009765625, 0.0009765625},
                       {3, 10, 0.5, 0.1171875, 0.171875},
                       {128, 264, 0.5, 0.043478645764156257, 0.33334008923502205},
                       {7, 20, 0.05, 3.1089279918615039e-5, 0.99999714311461718},
                       {19, 20, 0.95, 0.37735360253530762, 0.6415140775914581},
                       {500, 1000, 0.5, 0.025225018178360802, 0.5126125090891804},
                       {400, 1000, 0.5, 4.6339080740497339e-11, 1.3642320780330092e-10},
                       {900, 10000, 0.1, 4.5303820205876489e-5, 0.00038516113807243309},
                       {30, 100000, 0.001, 1.3687007641773036e-16, 1.9432671040696583e-16},
                       {49000, 100000, 0.5, 5.1946592098893009e-12, 1.2943580191734489e-10},
                       {1, 624, 0.01, 0.011909974289492313, 0.013799537518113689},
                       {620, 624, 0.99, 0.12307335224554079, 0.87024459148601794}};
  for (const Row& r : table) {
    CAPTURE(r.k);
    CAPTURE(r.n);
    CHECK(close(binomial_pmf(r.k, r.n, r.p), r.pmf, 0, 3e-14));
    CHECK(close(binomial_cdf(r.k, r.n, r.p), r.cdf, 0, 3e-14));
  }
  CHECK(close(binomial_pmf(8, 16, 0.5), 12870.0 / 65536, 0, 3e-15));  // the smallest n of Stirling's series
  CHECK(binomial_pmf(-1, 5, 0.5) == 0);
  CHECK(binomial_pmf(6, 5, 0.5) == 0);
  CHECK(binomial_pmf(0, 5, 0) == 1);
  CHECK(binomial_pmf(5, 5, 1) == 1);
  CHECK(binomial_pmf(4, 5, 1) == 0);
  CHECK(binomial_cdf(-1, 5, 0.5) == 0);
  CHECK(binomial_cdf(5, 5, 0.5) == 1);
  CHECK(binomial_cdf(4, 5, 1) == 0);
  CHECK(binomial_cdf(0, 5, 0) == 1);
  CHECK_THROWS_AS(binomial_pmf(1, 5, 1.5), Error);
  CHECK_THROWS_AS(binomial_cdf(1, 5, NAN), Error);
}

TEST_CASE("chi square tail for odd and even degrees") {  // mpmath: gammainc(d/2, x/2, inf, regularized=True)
  struct Row {
    double x;
    int degrees;
    double want;
  };
  const Row table[] = {{0.1, 1, 0.75182963404584928},
                       {3.841458820694124, 1, 0.050000000000000057},
                       {30, 1, 4.3204630578274973e-8},
                       {200, 1, 2.0884875837625448e-45},
                       {0.5, 2, 0.77880078307140487},
                       {10, 2, 0.0067379469990854671},
                       {7.814727903251179, 3, 0.050000000000000018},
                       {60, 3, 5.8782307279069123e-13},
                       {4, 4, 0.40600584970983808},
                       {11, 5, 0.051379983483069532},
                       {100, 7, 1.0787979671702883e-18},
                       {25.3, 10, 0.0048049529789835583}};
  for (const Row& r : table) {
    CAPTURE(r.x);
    CAPTURE(r.degrees);
    CHECK(close(chi_square_survival(r.x, r.degrees), r.want, 0, 2e-14));
  }
  CHECK(chi_square_survival(0, 3) == 1);
  CHECK(chi_square_survival(-1, 2) == 1);
  CHECK(std::isnan(chi_square_survival(NAN, 2)));
  CHECK_THROWS_AS(chi_square_survival(1, 0), Error);
}

TEST_CASE("quantiles interpolate as numpy does") {  // numpy 2.4: np.quantile([3.1,-2,0.5,7,7,1.25,9.75], q)
  const std::array<double, 7> sorted{-2, 0.5, 1.25, 3.1, 7, 7, 9.75};
  const std::pair<double, double> table[] = {{0, -2}, {0.025, -1.625}, {0.1, -0.5}, {0.5, 3.1}, {0.77, 7}, {0.975, 9.3375}, {1, 9.75}};
  for (const auto& [q, want] : table) {
    CAPTURE(q);
    CHECK(close(quantile(sorted, q), want, 1e-15, 1e-15));
  }
  CHECK_THROWS_AS(quantile({}, 0.5), Error);
  CHECK_THROWS_AS(quantile(sorted, 1.01), Error);
  CHECK_THROWS_AS(quantile(sorted, NAN), Error);
}

TEST_CASE("a compensated sum keeps what plain addition loses") {
  Sum sum;
  double plain = 0;
  for (double x : {1.0, 1e100, 1.0, -1e100}) sum.add(x), plain += x;
  CHECK(sum.value() == 2);
  CHECK(plain == 0);
}

TEST_CASE("random streams differ by seed and stream and replicate and repeat exactly") {
  const auto first = [](uint64_t seed, uint32_t stream, uint32_t replicate) {
    return RandomStream(seed, Purpose::test, stream, replicate).bits();
  };
  CHECK(first(1, 2, 3) == first(1, 2, 3));
  CHECK(first(1, 2, 3) != first(2, 2, 3));
  CHECK(first(1, 2, 3) != first(1, 3, 3));
  CHECK(first(1, 2, 3) != first(1, 2, 4));
  RandomStream words(1, Purpose::test, 2, 3);  // the counter that the header promises
  for (uint32_t block = 0; block < 2; ++block) {
    const Philox4 four = philox(1, {{uint32_t(Purpose::test) << 24 | 2, 3, block, 0}});
    CHECK(words.bits() == (uint64_t(four.v[0]) << 32 | four.v[1]));
    CHECK(words.bits() == (uint64_t(four.v[2]) << 32 | four.v[3]));
  }
  RandomStream r(0, Purpose::test, 0, 0);
  double sum = 0;
  std::array<int, 7> seen{};
  for (int i = 0; i < 70000; ++i) {
    const double u = r.unit();
    REQUIRE((u > 0 && u < 1));
    sum += u;
    ++seen[r.below(7)];
  }
  CHECK(close(sum / 70000, 0.5, 4 * std::sqrt(1.0 / 12 / 70000), 0));  // four standard errors of the mean of a uniform number
  double chi = 0;
  for (int n : seen) chi += (n - 10000.0) * (n - 10000.0) / 10000;
  CHECK(chi_square_survival(chi, 6) > 1e-5);
}

}  // namespace ptrain
