// defines: CsvLogger, the history of a training as keras.callbacks.CSVLogger writes it
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "train/line_file.hpp"
#include "train/logs.hpp"

namespace ptrain {

// history.csv, byte for byte as Keras 3.15 writes the same numbers: columns `epoch` (from 0) and the names of the first epoch in ASCII order;
// without any val_ name the columns are there all the same, as val_<name>; a missing value is NA; numbers as Python prints them; lines end in \r\n.
class CsvLogger {
 public:
  // A new file. With `resume_at` (the epoch that runs next) goes on with an old one: its columns hold, rows of that and later epochs, which
  // an interrupted run may have written, and a torn last line are removed. Error{data} when the file is not such a history.
  explicit CsvLogger(std::filesystem::path path, std::optional<int64_t> resume_at = {});

  // Writes one row. Throws Error{failed} when a file that was resumed has no column for a name (Keras would drop the value).
  void on_epoch_end(int64_t epoch, const Logs& logs);

 private:
  std::vector<std::string> columns_;  // without "epoch"; empty before the first row; filled while file_ is opened
  LineFile file_;
  bool resumed_ = false;
};

// The shortest digits that read back as the same double, in the layout of Python's repr: "0.1", "1.0", "1e-05", "1.5e+16", "nan", "inf".
std::string python_repr(double value);

}  // namespace ptrain
