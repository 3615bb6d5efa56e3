// defines: reading and writing NumPy's .npy files of float32 (numpy/lib/format.py)
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "data/file.hpp"

namespace ptrain {

struct NpyArray {
  std::vector<int64_t> shape;
  std::vector<float> values;  // C order: the last dimension runs fastest
};

// Versions 1 to 3, little-endian float32 in C order. Error{data} names the file, what it holds, and how to save it again: another type
// or order, a size that does not fit the bytes that are there, a header that is not one.
NpyArray read_npy(const std::filesystem::path&);

// Writes an array piece by piece, so that it need not be in memory as a whole. The file appears with finish(), as a whole or not at all.
class NpyWriter {
 public:
  NpyWriter(const std::filesystem::path& path, const std::vector<int64_t>& shape);
  void append(std::span<const float> values);
  void finish();  // throws Error{failed} unless exactly the values of the shape were appended

 private:
  AtomicFile file_;
  int64_t missing_ = 1;
};

inline void write_npy(const std::filesystem::path& path, const std::vector<int64_t>& shape, std::span<const float> values) {
  NpyWriter writer(path, shape);
  writer.append(values);
  writer.finish();
}

}  // namespace ptrain
