#include "train/predictions_csv.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

#include "data/csv.hpp"
#include "data/file.hpp"
#include "kernels/error.hpp"

namespace ptrain {

std::vector<int32_t> decisions(const metrics::Predictions& p, int positive, double threshold) {
  std::vector<int32_t> chosen = p.most_likely();
  if (p.classes.size() != 2) return chosen;
  const std::vector<double> scores = p.scores(positive);
  for (size_t i = 0; i < chosen.size(); ++i) chosen[i] = scores[i] >= threshold ? positive : 1 - positive;
  return chosen;
}

void write_predictions(const std::filesystem::path& path, const Manifest& manifest, std::span<const int64_t> images,
                       const metrics::Predictions& p, int positive, double threshold) {
  REQUIRE_THAT(images.size() == p.size(), "write_predictions: ", images.size(), " images, ", p.size(), " predictions");
  const std::vector<int32_t> chosen = decisions(p, positive, threshold);
  AtomicFile file(path);
  CsvRow header{"file", "label", "predicted", "patient"};
  for (const std::string& c : p.classes) header.push_back("p_" + c);
  file.write(csv_line(header));
  for (size_t i = 0; i < images.size(); ++i) {
    const Entry& e = manifest.entries[size_t(images[i])];
    CsvRow row{e.path, p.classes[size_t(p.labels[i])], p.classes[size_t(chosen[i])], e.patient};
    for (size_t c = 0; c < p.classes.size(); ++c) row.push_back(fmt::format("{}", p.probabilities[i * p.classes.size() + c]));
    file.write(csv_line(row));
  }
  file.commit();
}

PredictionTable read_predictions(const std::filesystem::path& path) {
  const std::string name = path.string();
  const std::vector<uint8_t> bytes = read_bytes(path, "reading the predictions", int64_t{1} << 30);
  const std::vector<CsvRow> rows = parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name);
  const auto refuse = [&](const auto&... why) { fail(ErrorKind::data, "reading the predictions ", name, ": ", why...); };
  if (rows.size() < 2) refuse("there are none");
  const CsvRow& titles = rows[0];
  const size_t file = csv_column(titles, "file", name), label = csv_column(titles, "label", name);
  const size_t predicted = csv_column(titles, "predicted", name), patient = csv_column(titles, "patient", name);
  PredictionTable t;
  std::vector<size_t> columns;
  for (size_t c = 0; c < titles.size(); ++c)
    if (titles[c].starts_with("p_")) t.predictions.classes.push_back(titles[c].substr(2)), columns.push_back(c);
  const auto class_of = [&](const std::string& text, size_t line) {
    const auto it = std::find(t.predictions.classes.begin(), t.predictions.classes.end(), text);
    if (it == t.predictions.classes.end()) refuse("line ", line, ": '", text, "' is none of its classes");
    return int32_t(it - t.predictions.classes.begin());
  };
  for (size_t r = 1; r < rows.size(); ++r) {
    const CsvRow& row = rows[r];
    t.files.push_back(row[file]);
    t.predictions.patients.push_back(row[patient]);
    t.predictions.labels.push_back(class_of(row[label], r + 1));
    t.predicted.push_back(class_of(row[predicted], r + 1));
    for (const size_t c : columns) {
      double value = 0;
      const auto [end, error] = std::from_chars(row[c].data(), row[c].data() + row[c].size(), value);
      if (error != std::errc() || end != row[c].data() + row[c].size()) refuse("line ", r + 1, ": '", row[c], "' is not a probability");
      t.predictions.probabilities.push_back(value);
    }
  }
  metrics::check(t.predictions);
  return t;
}

}  // namespace ptrain
