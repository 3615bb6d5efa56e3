// defines: TensorboardWriter, scalars for TensorBoard
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "train/line_file.hpp"
#include "train/logs.hpp"

namespace ptrain {

// An event file: TFRecord frames (length, masked CRC-32C of it, data, masked CRC-32C) of Event messages (tensorflow/core/util/event.proto),
// written by hand, since four fields are all that scalars need. Each record is in the file at once. A process writes a file of its own in
// `folder` (created when missing), so a torn file is never appended to; TensorBoard joins the files of a folder.
class TensorboardWriter {
 public:
  using Clock = std::function<double()>;  // seconds since 1970
  // With `resume_at` TensorBoard forgets the points at this and later steps that an interrupted run wrote. Error{failed} names the path.
  explicit TensorboardWriter(const std::filesystem::path& folder, std::optional<int64_t> resume_at = {}, Clock clock = {});

  // One event that holds all of these, by tag. Values are stored in float32.
  void scalars(int64_t step, const Logs& values);
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  void record(std::string_view event);

  Clock clock_;
  LineFile file_;
};

}  // namespace ptrain
