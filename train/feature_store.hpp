// defines: FeatureStore, what crosses the cut for images that look the same in every epoch
#pragma once

#include <optional>
#include <unordered_map>

#include "train/base_runner.hpp"

namespace ptrain {

// One row an image: in training, where images are not augmented, and in validation. Copies are exact, so a training that reads them
// computes what it would compute without. Several threads may use it at a time, each for other images.
class FeatureStore {
 public:
  FeatureStore(const BaseRunner& runner, std::span<const int64_t> images);
  // One for these images when it needs no more than `budget` bytes, which it takes from it; else, or for no images, none.
  static std::optional<FeatureStore> within(int64_t& budget, const BaseRunner& runner, std::span<const int64_t> images);

  bool has(std::span<const int64_t> images) const;  // all of them have been written
  void read(Exec& exec, std::span<const int64_t> images, const Boundary& to, int64_t first_row) const;
  void write(Exec& exec, std::span<const int64_t> images, const Boundary& from, int64_t first_row);

 private:
  void copy(Exec& exec, const Boundary& from, int64_t from_row, const Boundary& to, int64_t to_row) const;

  std::unordered_map<int64_t, int64_t> row_of_;
  Boundary border_;
  std::vector<char> written_;  // not bool: threads write to neighbours
};

}  // namespace ptrain
