// defines: SafetyRail and safety_rail(), whether a fine-tuned model takes the place of the one it began with
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "train/metrics/predictions.hpp"

namespace ptrain {

// One side: what a model says of the validation images, and its AUC there.
struct Contender {
  const metrics::Predictions& validation;
  double auc;
};

// Fine-tuning is kept when on validation both hold:
//   its AUC is not lower, and
//   its log loss is not higher by more than one standard error of the difference. Each model is given the temperature that suits it best on
//   these images, so that over-confidence, which a temperature takes back, is no reason. The difference is paired by image; its standard
//   error takes the images of a patient as one observation: √(G/(G − 1)·Σ_g (Σ_i∈g (d_i − d̄))²)/n for G patients and n images.
// What is not finite holds for nothing: an undefined AUC, log loss or standard error keeps the model that was there before.
struct SafetyRail {
  double auc_before = 0, auc_after = 0;
  double log_loss_before = 0, log_loss_after = 0;
  double difference = 0, standard_error = 0;  // of the log loss, after − before
  size_t patients = 0;                        // without patients the number of images
  bool auc_holds = false, log_loss_holds = false;
  std::string why = {};  // a sentence with these numbers

  bool kept() const { return auc_holds && log_loss_holds; }
};

// Error{failed} when the two were not shown the same images.
SafetyRail safety_rail(const Contender& before, const Contender& after);

// auc_before, auc_after, auc_holds, log_loss_before, log_loss_after, log_loss_difference, log_loss_standard_error, patients,
// log_loss_holds, rule. Undefined numbers are null.
nlohmann::ordered_json to_json(const SafetyRail& rail);

}  // namespace ptrain
