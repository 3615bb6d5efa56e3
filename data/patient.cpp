#include "data/patient.hpp"

#include <map>
#include <regex>

#include "data/csv.hpp"
#include "data/file.hpp"
#include "data/listing.hpp"
#include "kernels/error.hpp"

namespace ptrain {
namespace {

constexpr int64_t kLargestTable = 1 << 28;  // bytes

size_t digits_at(std::string_view s, size_t at) {
  size_t n = 0;
  while (at + n < s.size() && s[at + n] >= '0' && s[at + n] <= '9') ++n;
  return n;
}

bool word_ends(std::string_view s, size_t at) { return at == s.size() || s[at] == '_' || s[at] == '-'; }

// personN_bacteria, personN_virus
size_t length_of_person(std::string_view stem) {
  constexpr std::string_view kPerson = "person";
  if (!stem.starts_with(kPerson)) return 0;
  const size_t digits = digits_at(stem, kPerson.size()), cause = kPerson.size() + digits;
  if (digits == 0) return 0;
  for (std::string_view name : {"_bacteria", "_virus"})
    if (stem.substr(cause).starts_with(name) && word_ends(stem, cause + name.size())) return cause + name.size();
  return 0;
}

// IM-N, NORMAL-IM-N, NORMAL2-IM-N
size_t length_of_im(std::string_view stem) {
  constexpr std::string_view kNormal = "NORMAL", kIm = "IM-";
  size_t at = 0;
  if (stem.starts_with(kNormal)) {
    at = kNormal.size() + digits_at(stem, kNormal.size());
    if (at >= stem.size() || stem[at] != '-') return 0;
    ++at;
  }
  if (!stem.substr(at).starts_with(kIm)) return 0;
  at += kIm.size();
  const size_t digits = digits_at(stem, at);
  return digits > 0 && word_ends(stem, at + digits) ? at + digits : 0;
}

std::string stem_of(std::string_view file_name) { return std::filesystem::path(file_name).stem().string(); }
std::string name_of(const std::string& file) { return std::filesystem::path(file).filename().string(); }

std::vector<std::string> by_regex(std::span<const std::string> files, const std::string& text) {
  std::vector<std::string> patients, without;
  try {
    const std::regex regex(text, std::regex::ECMAScript);
    for (const std::string& file : files) {
      std::smatch match;
      const std::string name = name_of(file);
      const bool found = std::regex_search(name, match, regex) || std::regex_search(file, match, regex);
      const std::string patient = !found ? "" : match.size() > 1 && match[1].matched ? match.str(1) : match.str(0);
      (patient.empty() ? without : patients).push_back(patient.empty() ? file : patient);
    }
  } catch (const std::regex_error& e) {
    fail(ErrorKind::usage, "--group-regex '", text, "' is not an ECMAScript regular expression, or too hard a one: ", e.what());
  }
  if (!without.empty())
    fail(ErrorKind::data, "finding the patient of each image: ", without.size(), " of ", files.size(), " files do not match --group-regex '", text, "'",
         listing(without), "\n  change the expression so that it matches every name");
  return patients;
}

std::vector<std::string> by_table(std::span<const std::string> files, const std::filesystem::path& path) {
  const std::string name = path.string();
  const std::vector<uint8_t> bytes = read_bytes(path, "reading the patients from", kLargestTable);
  const std::vector<CsvRow> rows = parse_csv({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, name);
  if (rows.empty()) fail(ErrorKind::data, "reading the patients from ", name, ": the file is empty; the columns file and patient are wanted");
  const size_t file_column = csv_column(rows[0], "file", name), patient_column = csv_column(rows[0], "patient", name);
  std::map<std::string, std::string> table;
  for (size_t i = 1; i < rows.size(); ++i) {
    const std::string &file = rows[i][file_column], &patient = rows[i][patient_column];
    if (patient.empty()) fail(ErrorKind::data, "reading ", name, ": ", file, " has no patient; fill the column");
    const auto [entry, first] = table.emplace(file, patient);
    if (!first && entry->second != patient)
      fail(ErrorKind::data, "reading ", name, ": ", file, " has two patients, ", entry->second, " and ", patient, "; keep one line");
  }
  std::map<std::string, int> name_count;
  for (const std::string& file : files) ++name_count[name_of(file)];
  std::vector<std::string> patients, without;
  for (const std::string& file : files) {
    auto found = table.find(file);
    if (found == table.end() && name_count[name_of(file)] == 1) found = table.find(name_of(file));
    if (found == table.end()) without.push_back(file);
    else patients.push_back(found->second);
  }
  if (!without.empty())
    fail(ErrorKind::data, "finding the patient of each image: ", without.size(), " of ", files.size(), " files are not in ", name, listing(without),
         "\n  add a line for each: its path below the data folder, and the patient");
  return patients;
}

}  // namespace

std::string patient_of_name(std::string_view file_name) {
  std::string stem = stem_of(file_name);
  const size_t length = std::max(length_of_person(stem), length_of_im(stem));
  if (length > 0) stem.resize(length);
  return stem;
}

bool names_a_patient(std::string_view file_name) {
  const std::string stem = stem_of(file_name);
  return length_of_person(stem) > 0 || length_of_im(stem) > 0;
}

std::vector<std::string> patients_of(std::span<const std::string> files, const PatientRule& rule) {
  if (!rule.regex.empty() && !rule.csv.empty())
    fail(ErrorKind::usage, "--group-regex and --group-csv were both given; only one can say which patient an image is of");
  if (!rule.regex.empty()) return by_regex(files, rule.regex);
  if (!rule.csv.empty()) return by_table(files, rule.csv);
  std::vector<std::string> patients;
  for (const std::string& file : files) patients.push_back(patient_of_name(name_of(file)));
  return patients;
}

}  // namespace ptrain
