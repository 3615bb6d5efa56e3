#include "train/feature_store.hpp"

#include <algorithm>

namespace ptrain {

FeatureStore::FeatureStore(const BaseRunner& runner, std::span<const int64_t> images)
    : border_(runner.make_border(int64_t(images.size()))),
      written_(images.size(), 0) {
  for (size_t i = 0; i < images.size(); ++i) row_of_.emplace(images[i], int64_t(i));
}

std::optional<FeatureStore> FeatureStore::within(int64_t& budget, const BaseRunner& runner, std::span<const int64_t> images) {
  const int64_t bytes = int64_t(images.size()) * runner.border_bytes_per_image();
  if (bytes == 0 || bytes > budget) return {};
  budget -= bytes;
  return FeatureStore(runner, images);
}

bool FeatureStore::has(std::span<const int64_t> images) const {
  return std::all_of(images.begin(), images.end(), [&](int64_t i) { return written_[size_t(row_of_.at(i))] != 0; });
}

void FeatureStore::read(Exec& exec, std::span<const int64_t> images, const Boundary& to, int64_t first_row) const {
  for (const int64_t i : images) copy(exec, border_, row_of_.at(i), to, first_row++);
}

void FeatureStore::write(Exec& exec, std::span<const int64_t> images, const Boundary& from, int64_t first_row) {
  for (const int64_t i : images) {
    copy(exec, from, first_row++, border_, row_of_.at(i));
    written_[size_t(row_of_.at(i))] = 1;
  }
}

void FeatureStore::copy(Exec& exec, const Boundary& from, int64_t from_row, const Boundary& to, int64_t to_row) const {
  for (size_t i = 0; i < from.size(); ++i)
    copy_rows(from[i].second.memory()->backend(), exec, from[i].second, from_row, to[i].second, to_row, 1);
}

}  // namespace ptrain
