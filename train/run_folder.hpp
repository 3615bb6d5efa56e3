// defines: RunFolder, the files that a training leaves
#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

#include "train/csv_logger.hpp"
#include "train/json_lines.hpp"
#include "train/progress.hpp"
#include "train/tensorboard.hpp"

namespace ptrain {

// RUN/: best.h5, last.h5, history.csv, metrics.jsonl, tensorboard/, resolved.toml, split.csv, log.txt. Created when missing; Error{failed}
// when it cannot be written to. Everything is written as it happens.
class RunFolder {
 public:
  // `resume_at`: the epoch that runs next; rows of it and of later epochs are removed. Without it the logs start anew.
  RunFolder(std::filesystem::path path, const Screen& screen, std::optional<int64_t> resume_at);

  std::filesystem::path best() const { return path_ / "best.h5"; }
  std::filesystem::path last() const { return path_ / "last.h5"; }
  std::filesystem::path split() const { return path_ / "split.csv"; }
  const std::filesystem::path& path() const { return path_; }
  Progress& progress() { return progress_; }

  void message(const std::string& text);  // to the screen and to log.txt
  // One finished epoch: to history.csv and TensorBoard the logs, to metrics.jsonl these and `more`.
  void epoch(int64_t epoch, const Logs& logs, const nlohmann::ordered_json& more);
  void write_text(const std::string& name, const std::string& text) const;  // a whole file, or none

 private:
  std::filesystem::path path_;
  Progress progress_;
  LineFile log_;
  CsvLogger history_;
  JsonLines metrics_;
  TensorboardWriter tensorboard_;
};

// Creates the folder and proves that it can be written to.
void make_run_folder(const std::filesystem::path& path);

}  // namespace ptrain
