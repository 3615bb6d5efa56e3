// defines: Groups, the images of each patient; per-patient labels and probabilities
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ptrain::metrics {

// Patients are numbered in the order in which they first appear.
struct Groups {
  std::vector<uint32_t> of_image;  // the patient of image i
  std::vector<std::string> names;  // of patient g
  size_t count() const { return names.size(); }
};
Groups group_by(std::span<const std::string> patients);
Groups each_alone(size_t images);  // every image is its own patient

// One case a patient: the mean of the probabilities of the images; the label that most images have, of equally frequent ones the larger
// (with two classes, positive last: a patient with as many positive as negative images is positive).
struct PatientCases {
  std::vector<int32_t> labels;
  std::vector<double> probabilities;  // patients × classes
  int64_t mixed = 0;                  // patients whose images have different labels
};
PatientCases per_patient(const Groups& groups, std::span<const int32_t> labels, std::span<const double> probabilities, int classes);

}  // namespace ptrain::metrics
