#include "train/metrics/patients.hpp"

#include <numeric>
#include <unordered_map>

#include "kernels/error.hpp"
#include "train/statistics/sum.hpp"

namespace ptrain::metrics {

Groups group_by(std::span<const std::string> patients) {
  Groups groups;
  std::unordered_map<std::string, uint32_t> number;
  for (const std::string& name : patients) {
    const auto [found, is_new] = number.try_emplace(name, uint32_t(groups.names.size()));
    if (is_new) groups.names.push_back(name);
    groups.of_image.push_back(found->second);
  }
  return groups;
}

Groups each_alone(size_t images) {
  Groups groups;
  groups.of_image.resize(images);
  std::iota(groups.of_image.begin(), groups.of_image.end(), 0u);
  for (size_t i = 0; i < images; ++i) groups.names.push_back(std::to_string(i));
  return groups;
}

PatientCases per_patient(const Groups& groups, std::span<const int32_t> labels, std::span<const double> probabilities, int classes) {
  const size_t k = size_t(classes), n = labels.size();
  REQUIRE_THAT(classes >= 2 && groups.of_image.size() == n && probabilities.size() == n * k, "per_patient: ", n, " labels, ",
               groups.of_image.size(), " patients and ", probabilities.size(), " probabilities of ", classes, " classes");
  std::vector<statistics::Sum> sums(groups.count() * k);
  std::vector<int64_t> votes(groups.count() * k);
  for (size_t i = 0; i < n; ++i) {
    const size_t g = groups.of_image[i];
    REQUIRE_THAT(labels[i] >= 0 && labels[i] < classes, "per_patient: label ", labels[i], " of ", classes, " classes");
    ++votes[g * k + size_t(labels[i])];
    for (size_t c = 0; c < k; ++c) sums[g * k + c].add(probabilities[i * k + c]);
  }
  PatientCases cases;
  for (size_t g = 0; g < groups.count(); ++g) {
    const std::span<const int64_t> v(votes.data() + g * k, k);
    size_t label = 0;
    for (size_t c = 1; c < k; ++c)
      if (v[c] >= v[label]) label = c;
    const int64_t images = std::accumulate(v.begin(), v.end(), int64_t(0));
    cases.labels.push_back(int32_t(label));
    cases.mixed += v[label] != images;
    for (size_t c = 0; c < k; ++c) cases.probabilities.push_back(sums[g * k + c].value() / double(images));
  }
  return cases;
}

}  // namespace ptrain::metrics
