// defines: Places, where the values of a laid-out model file go
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "layers/hdf5_driver.hpp"

namespace ptrain {

// A file whose metadata is complete and whose values are still to come: they are written straight to their places, each place from its
// beginning to its end, and no byte outside of them changes any more.
class Places {
 public:
  struct Place {
    std::string name;
    uint64_t offset = 0, bytes = 0, done = 0;
  };

  void add(Place place);  // all of them before the first write
  void close(uint64_t file_bytes) { file_bytes_ = file_bytes; }
  Place& find(const std::string& name);  // Error{failed} for one that was not added
  void write(hdf5::Descriptor&, Place&, const void* data, uint64_t bytes);

  const Place* unfinished() const { return open_.empty() ? nullptr : open_.begin()->second; }
  uint64_t final_bytes() const { return open_.empty() ? file_bytes_ : open_.begin()->second->offset + open_.begin()->second->done; }

 private:
  std::map<std::string, Place> places_;
  std::map<uint64_t, const Place*> open_;  // by offset: those that still miss values
  uint64_t file_bytes_ = 0;
};

}  // namespace ptrain
