#include "train/report/bands.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "train/metrics/bootstrap.hpp"

namespace ptrain::report {
namespace {

constexpr size_t kPlaces = 101;

// A curve is a proportion at each place: y, of n images.
struct Reading {
  std::span<double> y, n;
};

// Weighted counts of positive and negative images at or above each distinct score, from the highest down, beginning with (0, 0).
struct Counts {
  std::vector<double> tp, fp;
};

class Sorted {
 public:
  Sorted(std::span<const int32_t> labels, std::span<const double> scores) : labels_(labels), scores_(scores), order_(labels.size()) {
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::sort(order_.begin(), order_.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  }
  Counts counts(std::span<const uint32_t> times) const {
    Counts c{{0}, {0}};
    double tp = 0, fp = 0;
    for (size_t k = 0; k < order_.size(); ++k) {
      const size_t i = order_[k];
      (labels_[i] == 1 ? tp : fp) += times[i];
      if (k + 1 < order_.size() && scores_[order_[k + 1]] == scores_[i]) continue;
      c.tp.push_back(tp);
      c.fp.push_back(fp);
    }
    return c;
  }

 private:
  std::span<const int32_t> labels_;
  std::span<const double> scores_;
  std::vector<size_t> order_;
};

void read_roc(const Counts& c, Reading to) {
  const double positives = c.tp.back(), negatives = c.fp.back();
  std::fill(to.n.begin(), to.n.end(), positives);
  if (positives == 0 || negatives == 0) return std::fill(to.y.begin(), to.y.end(), std::nan(""));
  size_t k = 0;
  for (size_t place = 0; place < kPlaces; ++place) {
    const double x = double(place) / double(kPlaces - 1) * negatives;
    while (k + 1 < c.fp.size() && c.fp[k + 1] <= x) ++k;  // the last point at or left of x: the top of a vertical run
    double tp = c.tp[k];
    if (k + 1 < c.fp.size() && x > c.fp[k]) tp += (c.tp[k + 1] - c.tp[k]) * (x - c.fp[k]) / (c.fp[k + 1] - c.fp[k]);
    to.y[place] = tp / positives;
  }
}

void read_precision(const Counts& c, Reading to) {
  const double positives = c.tp.back();
  if (positives == 0) return std::fill(to.y.begin(), to.y.end(), std::nan(""));
  size_t k = 1;
  for (size_t place = 0; place < kPlaces; ++place) {
    const double wanted = std::max(double(place) / double(kPlaces - 1) * positives, 1e-9);
    while (k + 1 < c.tp.size() && c.tp[k] < wanted - 1e-9) ++k;
    to.n[place] = c.tp[k] + c.fp[k];
    to.y[place] = c.tp[k] / to.n[place];
  }
}

Band band(std::span<const int32_t> labels, std::span<const double> scores, std::span<const std::string> patients, int replicates,
          uint64_t seed, const std::function<void(const Counts&, Reading)>& read) {
  Band out;
  for (size_t i = 0; i < kPlaces; ++i) out.x.push_back(double(i) / double(kPlaces - 1));
  out.y.resize(kPlaces);
  const Sorted sorted(labels, scores);
  const std::vector<uint32_t> once(labels.size(), 1);
  std::vector<double> n(kPlaces), unused(kPlaces);
  read(sorted.counts(once), {out.y, n});
  const metrics::Groups groups = patients.empty() ? metrics::each_alone(labels.size()) : metrics::group_by(patients);
  const auto results = metrics::bootstrap(groups, kPlaces,
                                          [&](std::span<const uint32_t> times, std::span<double> y) {
                                            read(sorted.counts(times), {y, unused});
                                          },
                                          {.replicates = replicates, .seed = seed});
  for (size_t i = 0; i < kPlaces; ++i) {
    const int64_t images = std::isnan(out.y[i]) ? 0 : std::llround(n[i]);
    const double successes = out.y[i] * double(images);  // not whole between two points of the ROC curve
    out.low.push_back(std::min(results[i].percentile.low, metrics::wilson(int64_t(successes + 1e-6), images).low));
    out.high.push_back(std::max(results[i].percentile.high, metrics::wilson(int64_t(std::ceil(successes - 1e-6)), images).high));
  }
  return out;
}

}  // namespace

Band roc_band(std::span<const int32_t> labels, std::span<const double> scores, std::span<const std::string> patients, int replicates,
              uint64_t seed) {
  return band(labels, scores, patients, replicates, seed, read_roc);
}

Band precision_recall_band(std::span<const int32_t> labels, std::span<const double> scores, std::span<const std::string> patients,
                           int replicates, uint64_t seed) {
  return band(labels, scores, patients, replicates, seed, read_precision);
}

}  // namespace ptrain::report
