// defines: which patient an image is of, by its file name, by an expression of the user's, or by a table
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ptrain {

// At most one of the two; neither means patient_of_name().
struct PatientRule {
  std::string regex;          // --group-regex
  std::filesystem::path csv;  // --group-csv
};

// The names of the chest X-ray set and, for all others, the name without its extension (every file a patient of its own):
//   person12_bacteria_47.jpeg, person12_virus_3.jpeg   person12_bacteria and person12_virus: the numbers are counted by cause,
//                                                      so these are two children
//   IM-0115-0001.jpeg, NORMAL2-IM-0115-0001.jpeg       IM-0115 and NORMAL2-IM-0115: two series that count from the start
std::string patient_of_name(std::string_view file_name);

// True when the name follows one of the two patterns above, so that its patient is known and not assumed.
bool names_a_patient(std::string_view file_name);

// The patient of each file; `files` are paths relative to the data folder.
// regex: ECMAScript, searched in the file name and, where it is not found, in the whole path; the patient is its first group when it has
// one, else all that it matches. csv: columns file and patient; `file` is the path as given, or a file name that only one of the files has;
// lines for other files are ignored. Error{usage} for a bad expression; Error{data} when the table is wrong or files are left without a
// patient (it lists them).
std::vector<std::string> patients_of(std::span<const std::string> files, const PatientRule& rule);

}  // namespace ptrain
