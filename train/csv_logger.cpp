#include "train/csv_logger.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "kernels/error.hpp"

namespace ptrain {
namespace {

// Reads the columns from line 0 into `columns`, keeps the rows before `resume_at`.
LineFile::Keep rows_before(int64_t resume_at, const std::filesystem::path& path, std::vector<std::string>& columns) {
  return [resume_at, path, &columns](std::string_view line, size_t number) {
    if (number > 0) {
      int64_t epoch = 0;
      const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), epoch);
      return error == std::errc() && end < line.data() + line.size() && *end == ',' && epoch < resume_at;
    }
    if (!line.starts_with("epoch,"))
      fail(ErrorKind::data, path.string(), " is not a training history (its first line begins with '", line.substr(0, 40),
           "', not with 'epoch,'); move it away, or give another folder");
    for (size_t at = 5; at < line.size();) {
      const size_t comma = std::min(line.find(',', at + 1), line.size());
      columns.emplace_back(line.substr(at + 1, comma - at - 1));
      at = comma;
    }
    return true;
  };
}

LineFile open_file(std::filesystem::path path, std::optional<int64_t> resume_at, std::vector<std::string>& columns) {
  if (!resume_at) return LineFile(std::move(path));
  return LineFile(path, rows_before(*resume_at, path, columns));
}

std::vector<std::string> columns_of(const Logs& logs) {
  std::vector<std::string> names;
  bool validated = false;
  for (const auto& [name, value] : logs) names.push_back(name), validated |= name.starts_with("val_");
  if (!validated)
    for (const auto& [name, value] : logs) names.push_back("val_" + name);
  for (const std::string& name : names)
    REQUIRE_THAT(name.find_first_of(",\"\r\n") == std::string::npos, "history: '", name, "' cannot be the name of a column");
  return names;
}

}  // namespace

CsvLogger::CsvLogger(std::filesystem::path path, std::optional<int64_t> resume_at)
    : file_(open_file(std::move(path), resume_at, columns_)),
      resumed_(!columns_.empty()) {}

void CsvLogger::on_epoch_end(int64_t epoch, const Logs& logs) {
  std::string text;
  if (columns_.empty()) {
    columns_ = columns_of(logs);
    text = "epoch";
    for (const std::string& name : columns_) text += "," + name;
    text += "\r\n";
  }
  if (resumed_)
    for (const auto& [name, value] : logs)
      REQUIRE_THAT(std::ranges::find(columns_, name) != columns_.end(), file_.path().string(), " has no column '", name,
                   "': it was begun with other options; start a new run, or move it away");
  text += std::to_string(epoch);
  for (const std::string& name : columns_) {
    const auto value = logs.find(name);
    text += "," + (value == logs.end() ? "NA" : python_repr(value->second));
  }
  file_.write(text + "\r\n");
}

std::string python_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value > 0 ? "inf" : "-inf";
  char text[64];
  const auto print = [&](std::chars_format format) {
    return std::string(text, std::to_chars(text, text + sizeof text, value, format).ptr);
  };
  const std::string scientific = print(std::chars_format::scientific);  // the exponent has a sign and at least two digits, as Python's
  const int exponent = std::stoi(scientific.substr(scientific.find('e') + 1));
  if (value != 0 && (exponent < -4 || exponent >= 16)) return scientific;
  const std::string fixed = print(std::chars_format::fixed);
  return fixed.find('.') == std::string::npos ? fixed + ".0" : fixed;
}

}  // namespace ptrain
