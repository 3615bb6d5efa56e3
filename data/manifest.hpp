// defines: Manifest, the images of a data folder: file, class, patient, part
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/patient.hpp"

namespace ptrain {

// `all`: the folder is not divided. `unused`: left out by a split.
enum class Part : uint8_t { all, train, val, test, unused };
const char* str(Part);
Part parse_part(const std::string& text);  // Error{usage} lists the names

struct Entry {
  std::string path;  // below the root, with '/': "train/NORMAL/IM-0115-0001.jpeg"
  int32_t label = 0;
  std::string patient;
  Part part = Part::all;    // where the folder has it
  std::string sha256 = {};  // of its bytes, once they were read for it: hash_files(), caches and the audit of an experiment look here first
};

// Indices of entries are what caches, splits, shuffles and random draws count with; they are below 2^31.
struct Manifest {
  std::filesystem::path root;
  std::vector<std::string> classes;  // sorted by name; a label is a position here
  std::vector<Entry> entries;        // train, val, test; in each the classes in order; in each class Keras' order of files
  std::vector<std::string> notes;    // what a user should know: files left out, empty folders

  std::filesystem::path file(int64_t index) const { return root / entries.at(size_t(index)).path; }
  std::vector<int64_t> of(Part) const;                                        // the indices of a part
  std::vector<int64_t> class_counts(std::span<const int64_t> indices) const;  // images of each class
};

// The names that count as images, as in Keras: .jpg .jpeg .png .bmp .gif in any case.
bool is_image_name(const std::string& file_name);

// All images in a folder and below, relative to it with '/', in Keras' order: by folder, then by name, both byte by byte. Links to files
// are followed, links to folders below `dir` are not. `others`, when given, gets the files that are no images.
std::vector<std::string> list_images(const std::filesystem::path& dir, std::vector<std::string>* others = nullptr);

// Reads DIR/train/CLASS/…, DIR/val/CLASS/…, DIR/test/CLASS/… (any of the three may be absent), or DIR/CLASS/… when DIR has none of
// them, by the rules of Keras' image_dataset_from_directory: class folders are the folders whose name does not begin with a dot, sorted;
// images lie in them or below. Error{data} when DIR is missing or has no images, when there are fewer than two classes, when a class of
// the training part (or of an undivided folder) is empty, or when the parts do not have the same classes.
Manifest read_folder(const std::filesystem::path& dir, const PatientRule& patients = {});

}  // namespace ptrain
