// defines: MiniHdf5, a second reader of HDF5, written from the format's specification and independent of the library
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ptrain::test {

// Reads what Keras writes: superblock version 0, old-style groups, contiguous little-endian float32. Every offset is checked; anything else
// throws Error{failed}. Source: HDF5 File Format Specification 3.0, sections II.A, III.A to III.D, IV.A.
class MiniHdf5 {
 public:
  explicit MiniHdf5(std::span<const char> file);

  struct Array {
    std::vector<uint64_t> shape;
    std::span<const char> bytes;  // float32, little-endian
  };
  std::optional<uint64_t> find(
      const std::string& path) const;  // "Conv1/Conv1/kernel": the address of its header, when there is such a path
  Array array(uint64_t header) const;

  // Where the numbers of all datasets lie, [begin, end); the rest of the file is metadata.
  std::vector<std::pair<uint64_t, uint64_t>> data_ranges() const;

 private:
  uint64_t number(uint64_t at, int bytes) const;
  std::vector<std::pair<std::string, uint64_t>> members(uint64_t header) const;  // of a group; names and addresses of headers
  // Calls `see(type, address of the body, size)` for each message of an object header.
  template <class See>
  void messages(uint64_t header, See&& see) const;

  std::span<const char> file_;
  uint64_t root_ = 0;
};

}  // namespace ptrain::test
