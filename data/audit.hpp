// defines: FileAudit and audit_files(), what is found in the files of a data set; duplicates and patients that cross its parts
#pragma once

#include <array>
#include <bitset>

#include "data/image.hpp"
#include "data/manifest.hpp"

namespace ptrain {

// What a net could use instead of the anatomy.
inline constexpr std::array<const char*, 8> kTrivialFeatures{"height", "width", "aspect", "bytes", "mean", "sd", "border", "dark"};

struct FileAudit {
  int64_t index = 0;         // in the manifest
  std::string why_bad;       // "" when it can be read as a whole
  std::string type, mode;    // by content: "JPEG"; "grey", "RGB" …
  bool mislabelled = false;  // its name says another type
  int64_t height = 0, width = 0;
  std::string sha256;
  std::bitset<256> fingerprint;  // of the picture (below)
  double contrast = 0;           // standard deviation of the picture's 17×16 means: below 2 grey levels a fingerprint says nothing
  std::array<double, 8>
      features{};  // kTrivialFeatures: pixels, ratio width/height, bytes a pixel, grey levels (the outer 5 %), share below 16
};

// Reads every file once, with `threads` threads. Bad files are told, not thrown.
std::vector<FileAudit> audit_files(const Manifest&, int threads);

// The picture in 16 rows of 17 block means; bit (y, x) says whether block x + 1 is brighter than block x (a difference hash after
// N. Krawetz, 2013, with 256 bits): survives scaling, re-encoding and changes of brightness.
std::bitset<256> fingerprint(const Image& image, double* contrast = nullptr);

struct Duplicate {
  int64_t a = 0, b = 0;  // indices of the manifest, a < b
  int distance = 0;      // bits of the fingerprints that differ; 0 for the same bytes
};
// Files with the same bytes: each with the first of its kind.
std::vector<Duplicate> exact_duplicates(const std::vector<FileAudit>&);
// Readable files of other bytes whose fingerprints differ in at most `most` bits; closest first.
std::vector<Duplicate> near_duplicates(const std::vector<FileAudit>&, int most, int threads);

struct SharedPatient {
  std::string patient;
  std::vector<Part> parts;
};
std::vector<SharedPatient> patients_across(const Manifest&);  // by name

}  // namespace ptrain
