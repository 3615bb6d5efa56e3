#include "train/compare.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "kernels/error.hpp"

namespace ptrain {
namespace {

std::vector<bool> right(const metrics::Predictions& p) {
  const std::vector<int32_t> chosen = p.most_likely();
  std::vector<bool> is_right(p.size());
  for (size_t i = 0; i < p.size(); ++i) is_right[i] = chosen[i] == p.labels[i];
  return is_right;
}

double share(const std::vector<bool>& is_right) {
  return double(std::count(is_right.begin(), is_right.end(), true)) / double(is_right.size());
}

}  // namespace

std::vector<PairTest> test_pairs(const std::vector<metrics::Predictions>& models, int positive) {
  std::vector<PairTest> tests;
  for (size_t a = 0; a < models.size(); ++a)
    for (size_t b = a + 1; b < models.size(); ++b) {
      const metrics::Predictions &first = models[a], &second = models[b];
      REQUIRE_THAT(first.labels == second.labels && !first.labels.empty(), "comparing models: they were not shown the same images");
      PairTest t{.a = a, .b = b};
      if (first.classes.size() == 2)
        t.auc = metrics::delong_paired(first.labels_against(positive), first.scores(positive), second.scores(positive));
      const std::vector<bool> first_right = right(first), second_right = right(second);
      t.accuracy_difference = share(first_right) - share(second_right);
      t.decisions = metrics::mcnemar(first_right, second_right);
      tests.push_back(t);
    }
  std::vector<double> auc, decisions;
  for (const PairTest& t : tests) auc.push_back(t.auc.p), decisions.push_back(t.decisions.mid_p);
  auc = metrics::holm(auc), decisions = metrics::holm(decisions);
  for (size_t i = 0; i < tests.size(); ++i) tests[i].auc_holm = auc[i], tests[i].decisions_holm = decisions[i];
  return tests;
}

Choice choose(const std::vector<Candidate>& candidates, const std::vector<PairTest>& pairs, double alpha) {
  REQUIRE_THAT(!candidates.empty(), "choosing a model: there are none");
  const auto rank = [](const Candidate& c) { return std::isnan(c.auc) ? -1.0 : c.auc; };
  Choice choice;
  for (size_t i = 1; i < candidates.size(); ++i)
    if (rank(candidates[i]) > rank(candidates[choice.best])) choice.best = i;
  const Candidate& best = candidates[choice.best];
  const auto same = [&](size_t i) {
    if (i == choice.best) return true;
    for (const PairTest& t : pairs)
      if ((t.a == i && t.b == choice.best) || (t.b == i && t.a == choice.best))
        return std::isnan(t.auc_holm) ? rank(candidates[i]) == rank(best) : t.auc_holm >= alpha;
    return rank(candidates[i]) == rank(best);
  };
  choice.chosen = choice.best;
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (!same(i)) continue;
    choice.tied.push_back(i);
    if (candidates[i].macs < candidates[choice.chosen].macs) choice.chosen = i;
  }
  const Candidate& chosen = candidates[choice.chosen];
  if (candidates.size() == 1) choice.why = fmt::format("{} is the only net (validation AUC {:.4f})", best.name, best.auc);
  else if (choice.tied.size() == 1)
    choice.why = fmt::format("{} has the highest validation AUC ({:.4f}), and no other comes near it (Holm-adjusted p < {:g})", best.name,
                             best.auc, alpha);
  else {
    std::string others;
    for (const size_t i : choice.tied)
      if (i != choice.best) others += fmt::format("{}{} ({:.4f})", others.empty() ? "" : ", ", candidates[i].name, candidates[i].auc);
    choice.why = fmt::format(
        "{} has the highest validation AUC ({:.4f}), but {} cannot be told apart from it on these images (Holm-adjusted p of DeLong's "
        "paired test ≥ {:g}): a tie inside the noise; of these ",
        best.name, best.auc, others, alpha);
    choice.why += fmt::format("{} needs the fewest multiply-adds ({:.0f} million an image){}", chosen.name, chosen.macs / 1e6,
                              choice.chosen == choice.best ? "" : " and is taken");
  }
  return choice;
}

}  // namespace ptrain
