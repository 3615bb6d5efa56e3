// defines: Split, the parts of a data set, divided by patient
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "data/manifest.hpp"

namespace ptrain {

struct SplitOptions {
  double val_fraction = 0.15;  // of the images of each class, to the nearest patient
  uint64_t seed = 0;
  int64_t pool_below = 100;  // a val folder with fewer images says too little and is pooled with the training part
};

struct Split {
  std::vector<Part> parts;                             // of each entry of the manifest: train, val, test or unused
  std::vector<std::string> notes;                      // what was decided, for the user
  std::vector<std::string> test_patients_in_training;  // patients of the test part that train or val have as well; sorted

  std::vector<int64_t> of(Part) const;  // the indices of a part, rising
};

// Divides train + val (or an undivided folder) into train and val. All images of a patient stay together, even when they are of several
// classes. Stratified: a patient counts for the rarest of its classes, and of each class val gets the patients whose images come nearest
// to val_fraction, at least one patient and not all. A patient's place in the random order depends on the seed and its name alone, so
// adding a patient moves no other. A val folder with at least `pool_below` images is used as it is; training images of its patients are
// then unused. The test part is never touched: patients that it shares with the others are listed in the result. Error{usage}:
// val_fraction outside (0, 1). Error{data}: no training images; a class with fewer than two patients; a class without an image in val.
Split split_by_patient(const Manifest&, const SplitOptions& = {});

// The split with only `fraction` of its training images, the others `unused`: stratified by class and grouped by patient as above, and
// nested: the images of a smaller fraction are among those of a larger one. val and test stay. Error{usage}: fraction outside (0, 1].
Split take_fraction(const Manifest&, const Split&, double fraction, uint64_t seed);

// Makes these images `unused`: those that a cache could not read. Error{data} when a class is then missing from train or val.
void leave_out(const Manifest&, Split&, std::span<const int64_t> indices);

// split.csv: file,label,patient,part with the class' name as label, one line an entry.
void write_split(const std::filesystem::path&, const Manifest&, const Split&);

// Reads it back for this manifest; the table's patients replace the manifest's. Error{data}: a file that is not in the folder, another
// label, a training or validation image of the folder without a line, a file or patient in two parts. Error{leak}: a file of the folder's
// test part as train or val.
Split read_split(const std::filesystem::path&, Manifest&);

// The patients that the table has in train or val, whatever folder it was made for. Error{data}: it has no columns patient and part.
std::set<std::string> trained_patients(const std::filesystem::path& split_csv);

}  // namespace ptrain
