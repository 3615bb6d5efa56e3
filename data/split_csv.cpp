// split.csv, and the checks that every split passes.
#include <algorithm>
#include <map>
#include <set>

#include "data/csv.hpp"
#include "data/file.hpp"
#include "data/listing.hpp"
#include "data/split_check.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace {

constexpr int64_t kLargestTable = 1 << 28;  // bytes

std::vector<std::string> common(const std::set<std::string>& a, const std::set<std::string>& b) {
  std::vector<std::string> both;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(both));
  return both;
}

std::vector<CsvRow> read_rows(const std::filesystem::path& path) {
  const std::vector<uint8_t> bytes = read_bytes(path, "reading the split", kLargestTable);
  std::vector<CsvRow> rows = parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
  if (rows.empty())
    fail(ErrorKind::data, "reading the split ", path.string(), ": the file is empty; the columns file, label, patient and part are wanted");
  return rows;
}

}  // namespace

void check_parts(const Manifest& manifest, Split& split, const std::string& doing) {
  std::map<Part, std::set<std::string>> patients;
  for (size_t i = 0; i < split.parts.size(); ++i) patients[split.parts[i]].insert(manifest.entries[i].patient);
  const std::vector<std::string> twice = common(patients[Part::train], patients[Part::val]);
  if (!twice.empty())
    fail(ErrorKind::data, doing, ": ", twice.size(), " patients are in training and in validation", listing(twice),
         "\n  put all images of a patient into one part");
  for (Part part : {Part::train, Part::val}) {
    const std::vector<int64_t> counts = manifest.class_counts(split.of(part));
    for (size_t c = 0; c < counts.size(); ++c)
      if (counts[c] == 0)
        fail(ErrorKind::data, doing, ": class ", manifest.classes[c], " has no image in the part ", str(part),
             "; add images of more patients, or choose another --seed or --val-fraction");
  }
  std::set<std::string> seen = patients[Part::train];
  seen.insert(patients[Part::val].begin(), patients[Part::val].end());
  split.test_patients_in_training = common(patients[Part::test], seen);
}

void write_split(const std::filesystem::path& path, const Manifest& manifest, const Split& split) {
  REQUIRE_THAT(split.parts.size() == manifest.entries.size(), "write_split: ", split.parts.size(), " parts, ", manifest.entries.size(),
               " entries");
  AtomicFile file(path);
  file.write(csv_line({"file", "label", "patient", "part"}));
  for (size_t i = 0; i < split.parts.size(); ++i) {
    const Entry& entry = manifest.entries[i];
    file.write(csv_line({entry.path, manifest.classes[size_t(entry.label)], entry.patient, str(split.parts[i])}));
  }
  file.commit();
}

Split read_split(const std::filesystem::path& path, Manifest& manifest) {
  const std::string name = path.string();
  const auto refuse = [&](const auto&... why) { fail(ErrorKind::data, "reading the split ", name, ": ", why...); };
  const std::vector<CsvRow> rows = read_rows(path);
  const size_t file_at = csv_column(rows[0], "file", name), label_at = csv_column(rows[0], "label", name);
  const size_t patient_at = csv_column(rows[0], "patient", name), part_at = csv_column(rows[0], "part", name);

  std::map<std::string, size_t> index;
  for (size_t i = 0; i < manifest.entries.size(); ++i) index[manifest.entries[i].path] = i;
  Split split;
  split.parts.assign(manifest.entries.size(), Part::all);  // until its line is read
  std::vector<std::string> unknown, leaks;
  for (size_t r = 1; r < rows.size(); ++r) {
    const std::string& file = rows[r][file_at];
    const auto found = index.find(file);
    if (found == index.end()) {
      unknown.push_back(file);
      continue;
    }
    Entry& entry = manifest.entries[found->second];
    Part& part = split.parts[found->second];
    if (part != Part::all) refuse(file, " is in it twice; keep one line");
    if (rows[r][label_at] != manifest.classes[size_t(entry.label)])
      refuse(file, " has the label ", rows[r][label_at], ", in the folder it is ", manifest.classes[size_t(entry.label)],
             "; use the split of this folder");
    const std::string& word = rows[r][part_at];
    if (word != "train" && word != "val" && word != "test" && word != "unused")
      refuse(file, " has the part '", word, "'; train, val, test or unused is wanted");
    part = parse_part(word);
    entry.patient = rows[r][patient_at];
    if (entry.part == Part::test && (part == Part::train || part == Part::val)) leaks.push_back(file);
  }
  if (!leaks.empty())
    fail(ErrorKind::leak, "reading the split ", name, ": ", leaks.size(), " images of the test part are in training or validation",
         listing(leaks), "\n  a test image can never be used to train or to choose; give them the part test");
  if (!unknown.empty())
    refuse(unknown.size(), " of its files are not in ", manifest.root.string(), listing(unknown), "\n  use the split of this folder");
  std::vector<std::string> missing;
  for (size_t i = 0; i < split.parts.size(); ++i) {
    if (split.parts[i] != Part::all) continue;
    if (manifest.entries[i].part == Part::test) split.parts[i] = Part::test;
    else missing.push_back(manifest.entries[i].path);
  }
  if (!missing.empty())
    refuse(missing.size(), " images of ", manifest.root.string(), " are not in it", listing(missing),
           "\n  make a new split, or give them the part unused");
  check_parts(manifest, split, "reading the split " + name);
  split.notes.push_back(concat("split: as in ", name));
  return split;
}

std::set<std::string> trained_patients(const std::filesystem::path& path) {
  const std::vector<CsvRow> rows = read_rows(path);
  const size_t patient_at = csv_column(rows[0], "patient", path.string()), part_at = csv_column(rows[0], "part", path.string());
  std::set<std::string> patients;
  for (size_t r = 1; r < rows.size(); ++r)
    if (rows[r][part_at] == "train" || rows[r][part_at] == "val") patients.insert(rows[r][patient_at]);
  return patients;
}

}  // namespace ptrain
