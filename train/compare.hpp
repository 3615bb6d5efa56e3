// defines: PairTest and test_pairs(), which differences between models are real; choose()
#pragma once

#include <string>
#include <vector>

#include "train/metrics/delong.hpp"
#include "train/metrics/paired.hpp"
#include "train/metrics/predictions.hpp"

namespace ptrain {

// Two models on the same images. Two classes: DeLong's paired test on the AUC; more: NaN. McNemar's mid-p test on the decisions for
// the most likely class. `holm`: adjusted for all pairs that were tested together, AUC and accuracy each on their own.
struct PairTest {
  size_t a = 0, b = 0;  // positions in the list of models; differences are a − b
  metrics::DelongPaired auc;
  double auc_holm = metrics::kUndefined;
  double accuracy_difference = 0;
  metrics::Mcnemar decisions;
  double decisions_holm = metrics::kUndefined;
};

// All pairs in order. Error{failed} when the models do not have the same labels.
std::vector<PairTest> test_pairs(const std::vector<metrics::Predictions>& models, int positive);

struct Candidate {
  std::string name;
  double auc = metrics::kUndefined;  // on validation
  double macs = 0;                   // multiply-adds of one image
};

struct Choice {
  size_t chosen = 0, best = 0;  // `best`: highest AUC
  std::vector<size_t> tied;     // cannot be told apart from the best (Holm-adjusted p ≥ alpha), the best among them
  std::string why;
};

// The highest AUC; of all that cannot be told apart from it the one with the fewest multiply-adds. An undefined AUC loses; a test
// that is undefined tells nothing apart only when the AUCs are equal. Error{failed} without candidates.
Choice choose(const std::vector<Candidate>& candidates, const std::vector<PairTest>& pairs, double alpha = 0.05);

}  // namespace ptrain
