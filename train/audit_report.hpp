// defines: Audit, all that is said about a data set before anything is trained on it; make_audit(), to_json()
#pragma once

#include <map>

#include <nlohmann/json.hpp>

#include "data/audit.hpp"
#include "train/metrics/delong.hpp"

namespace ptrain {

// How well a logistic regression on kTrivialFeatures tells the classes apart: five folds by patient, ridge 1, the pooled predictions of
// images that it was not fitted on. A net must be read against this: what it has in common with it may be no anatomy.
struct Shortcut {
  metrics::DelongAuc auc;  // two classes; more: the mean of one against the rest, without interval
  int64_t n = 0, folds = 0;
  std::array<double, 8> weights{};  // of the standardised features, fitted on all; two classes only
};

// Class frequencies of a part against those of the training part: Pearson's χ² test of homogeneity, images taken as independent.
struct PriorDifference {
  Part part = Part::test;
  double chi_square = 0, p = 1;
};

struct Audit {
  const Manifest* manifest = nullptr;  // must outlive this
  int positive = 1;
  std::vector<FileAudit> files;
  std::vector<Duplicate> exact, near;
  std::vector<SharedPatient> shared_patients;
  std::vector<PriorDifference> priors;
  Shortcut shortcut;               // n = 0: too few patients a class
  std::vector<std::string> leaks;  // how the test part is known to the others, a line each
  std::vector<std::string> notes;  // in plain words, worst first
  std::vector<int64_t> images_of(Part) const;
};

inline constexpr int kNearBits = 10;  // of 256

Audit make_audit(const Manifest& manifest, int positive, int threads);
nlohmann::ordered_json to_json(const Audit&);  // docs/report.md, "audit"

// The parts of make_audit() that are statistics. `features`: rows of kTrivialFeatures. Folds go round the patients of each class.
Shortcut shortcut_baseline(std::span<const double> features, std::span<const int32_t> labels, std::span<const std::string> patients,
                           int classes, int positive);
PriorDifference prior_difference(Part part, std::span<const int64_t> counts, std::span<const int64_t> training_counts);

}  // namespace ptrain
