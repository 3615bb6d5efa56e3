// defines: JsonLines, a log of one JSON object a line
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>

#include "train/line_file.hpp"

namespace ptrain {

// metrics.jsonl: each object is one line, in the file at once. Numbers that are not finite are null; text that is not UTF-8 is repaired.
class JsonLines {
 public:
  // A new file. With `resume_at` goes on with an old one, which is cut off before the first line that is torn, is no JSON object, or has an
  // integer member "epoch" ≥ resume_at: an interrupted run may have written what is about to be written again.
  explicit JsonLines(std::filesystem::path path, std::optional<int64_t> resume_at = {});

  void write(const nlohmann::ordered_json& object);

 private:
  LineFile file_;
};

}  // namespace ptrain
